#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace t3d::io {

/// One value of a pickle. Lists, tuples, dicts and opaque objects hold pointers into the same Pickle; two
/// places may hold the same one, and a damaged file may even hold a list inside itself.
struct PickleValue {
  enum class Kind {
    None,
    Bool,
    Int,
    BigInt,
    Float,
    String,
    Bytes,
    List,
    Tuple,
    Dict,
    Global,      ///< a class or function by name, never called
    Object,      ///< what calling a Global would have made: name, arguments, state, items
    Persistent,  ///< a persistent id, in items[0]: PyTorch's storages
  };
  Kind kind = Kind::None;
  int64_t whole = 0;  ///< Bool, Int
  double number = 0;  ///< Float
  std::string text;   ///< String, Bytes, BigInt (as the file has it), Global, Object ("module.name")
  std::vector<PickleValue*> items;                           ///< List, Tuple; an Object's arguments
  std::vector<std::pair<PickleValue*, PickleValue*>> pairs;  ///< Dict; items set on an Object
  PickleValue* state = nullptr;                              ///< what an Object would have been restored from

  bool is(Kind wanted) const { return kind == wanted; }
  /// The value under a string key of a Dict (the last one, as in Python), or nullptr.
  const PickleValue* find(std::string_view key) const;
};

struct PickleLimits {
  size_t max_values = size_t{20} << 20;
  size_t max_stack = size_t{1} << 20;
};

/// A parsed pickle; owns its values.
class Pickle {
 public:
  const PickleValue& root() const { return *root_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
};

/// Reads one pickle, protocols 0 to 5, from the front of `bytes` and takes it off; `place` begins every
/// message. No code is run and nothing is imported: a class or function is a name, calling one gives an
/// Object that lists what it was called with. OrderedDict and defaultdict become Dict, torch.Size a Tuple and
/// _codecs.encode(text, "latin1") Bytes. Throws UserError for what is not a pickle, is cut off, or is larger
/// than the limits.
Pickle read_pickle(std::string_view& bytes, const std::string& place, const PickleLimits& limits = {});

}  // namespace t3d::io
