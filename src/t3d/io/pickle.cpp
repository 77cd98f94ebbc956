#include "t3d/io/pickle.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "t3d/core/error.h"

namespace t3d::io {

using Kind = PickleValue::Kind;

const PickleValue* PickleValue::find(std::string_view key) const {
  for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair)
    if (pair->first->is(Kind::String) && pair->first->text == key) return pair->second;
  return nullptr;
}

/// The stack machine of Python's pickle module; opcodes as in its pickletools.
class PickleMachine {
 public:
  PickleMachine(std::string_view bytes, const std::string& place, const PickleLimits& limits)
      : bytes_(bytes), place_(place), limits_(limits) {}

  Pickle run() {
    while (!step()) {
    }
    pickle_.root_ = pop();
    return std::move(pickle_);
  }
  size_t n_read() const { return at_; }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(place_, ": damaged pickle at byte ", at_, ": ", what, ". Get the file again."));
  }

  // ---- bytes
  std::string_view take(uint64_t n) {
    if (n > bytes_.size() - at_)
      fail(cat(n, " more bytes were expected, ", bytes_.size() - at_, " are left"));
    const auto taken = bytes_.substr(at_, n);
    at_ += n;
    return taken;
  }
  uint64_t number(int n_bytes) {
    const auto raw = take(static_cast<uint64_t>(n_bytes));
    uint64_t value = 0;
    for (int i = n_bytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(raw[static_cast<size_t>(i)]);
    return value;
  }
  std::string line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("a line has no end");
    std::string text(take(end - at_));
    ++at_;
    return text;
  }

  // ---- values and stack
  PickleValue* make(Kind kind) {
    if (pickle_.values_.size() >= limits_.max_values)
      throw UserError(cat(place_, ": the pickle has more than ", limits_.max_values,
                          " values. It is not a checkpoint that this program reads."));
    pickle_.values_.emplace_back();
    pickle_.values_.back().kind = kind;
    return &pickle_.values_.back();
  }
  void push(PickleValue* value) {
    if (stack_.size() >= limits_.max_stack)
      fail(cat("more than ", limits_.max_stack, " values on its stack"));
    stack_.push_back(value);
  }
  PickleValue* pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("its stack is empty");
    auto* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  PickleValue* top() {
    auto* value = pop();
    stack_.push_back(value);
    return value;
  }
  std::vector<PickleValue*> pop_to_mark() {
    if (marks_.empty()) fail("a mark is missing");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleValue*> values(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return values;
  }
  void push_whole(Kind kind, int64_t whole) {
    auto* value = make(kind);
    value->whole = whole;
    push(value);
  }
  void push_text(Kind kind, std::string_view text) {
    auto* value = make(kind);
    value->text.assign(text);
    push(value);
  }
  void push_float(double number) {
    auto* value = make(Kind::Float);
    value->number = number;
    push(value);
  }
  void push_items(Kind kind, std::vector<PickleValue*> items) {
    auto* value = make(kind);
    value->items = std::move(items);
    push(value);
  }
  void push_tuple(size_t n) {
    std::vector<PickleValue*> items(n);
    for (size_t i = n; i-- > 0;) items[i] = pop();
    push_items(Kind::Tuple, std::move(items));
  }

  void push_long(std::string_view raw) {
    if (raw.size() > 8) return push_text(Kind::BigInt, raw);
    uint64_t value = !raw.empty() && (raw.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = raw.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(raw[i]);
    push_whole(Kind::Int, static_cast<int64_t>(value));
  }
  void push_decimal(std::string text) {
    if (text == "00" || text == "01") return push_whole(Kind::Bool, text == "01");
    if (!text.empty() && text.back() == 'L') text.pop_back();
    char* end = nullptr;
    errno = 0;
    const int64_t value = std::strtoll(text.c_str(), &end, 10);
    if (!text.empty() && *end == '\0' && errno == ERANGE) return push_text(Kind::BigInt, text);
    if (text.empty() || *end != '\0' || errno != 0) fail(cat("\"", text.substr(0, 40), "\" is no number"));
    push_whole(Kind::Int, value);
  }
  /// Protocol 0's quoted strings, without undoing the escapes: none of them is a name of ours.
  void push_quoted(const std::string& text) {
    if (text.size() < 2 || text.front() != text.back()) fail("a string has no quotes");
    push_text(Kind::String, std::string_view(text).substr(1, text.size() - 2));
  }

  void add_pairs(PickleValue* target, const std::vector<PickleValue*>& values) {
    if (values.size() % 2 != 0) fail("a key has no value");
    if (!target->is(Kind::Dict) && !target->is(Kind::Object)) fail("items are set on what is no dict");
    for (size_t i = 0; i < values.size(); i += 2) target->pairs.emplace_back(values[i], values[i + 1]);
  }
  void append(PickleValue* target, const std::vector<PickleValue*>& values) {
    if (!target->is(Kind::List) && !target->is(Kind::Object)) fail("values are appended to what is no list");
    target->items.insert(target->items.end(), values.begin(), values.end());
  }

  // ---- names and what would be calls
  PickleValue* global(const std::string& module, const std::string& name) {
    auto* value = make(Kind::Global);
    value->text = module + "." + name;
    return value;
  }
  void call(const PickleValue* callee, PickleValue* arguments) {
    static const std::vector<PickleValue*> none;
    const auto& items = arguments->is(Kind::Tuple) ? arguments->items : none;
    const std::string& name = callee->text;
    if (callee->is(Kind::Global)) {
      if (name == "collections.OrderedDict" || name == "collections.defaultdict") {
        auto* dict = make(Kind::Dict);
        // An OrderedDict of protocol 0 and 1 comes as a list of pairs.
        if (name == "collections.OrderedDict" && items.size() == 1 && items[0]->is(Kind::List))
          for (auto* pair : items[0]->items)
            if ((pair->is(Kind::Tuple) || pair->is(Kind::List)) && pair->items.size() == 2)
              dict->pairs.emplace_back(pair->items[0], pair->items[1]);
        return push(dict);
      }
      if (name == "torch.Size" && items.size() == 1 && items[0]->is(Kind::Tuple)) return push(items[0]);
      if (name == "_codecs.encode" && !items.empty() && items[0]->is(Kind::String))
        return push_text(Kind::Bytes, latin1(items[0]->text));
    }
    auto* object = make(Kind::Object);
    object->text = callee->is(Kind::Global) ? name : "(an object)." + name.substr(0, 200);
    object->items = items;
    push(object);
  }
  /// The bytes whose values are the text's code points; those beyond 255 become '?'.
  static std::string latin1(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<uint8_t>(text[i]);
      if (byte < 0x80) {
        out += text[i];
      } else if ((byte == 0xc2 || byte == 0xc3) && i + 1 < text.size()) {
        out += static_cast<char>((byte & 3) << 6 | (text[++i] & 0x3f));
      } else if (byte >= 0xc0) {
        out += '?';
      }
    }
    return out;
  }

  void remember(uint64_t index) {
    // Indices are consecutive in every real pickle; a map keeps a huge one from allocating.
    memo_[index] = top();
  }
  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail(cat("memo ", index, " is not set"));
    push(found->second);
  }
  uint64_t index_line() {
    push_decimal(line());
    return static_cast<uint64_t>(pop()->whole);
  }

  bool step();
  bool step_text(char op);
  bool step_object(char op);

  std::string_view bytes_;
  const std::string& place_;
  PickleLimits limits_;
  size_t at_ = 0;
  Pickle pickle_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleValue*> memo_;
};

/// True at the end.
bool PickleMachine::step() {
  const char op = take(1)[0];
  switch (op) {
    case '.':
      return true;
    case '\x80':
      take(1);
      break;  // PROTO
    case '\x95':
      take(8);
      break;  // FRAME
    case '(':
      if (marks_.size() >= limits_.max_stack) fail("too many marks on its stack");
      marks_.push_back(stack_.size());
      break;
    case '0':  // POP
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        pop();
      }
      break;
    case '1':
      pop_to_mark();
      break;  // POP_MARK
    case '2':
      push(top());
      break;  // DUP
    case 'N':
      push(make(Kind::None));
      break;
    case '\x88':
      push_whole(Kind::Bool, 1);
      break;
    case '\x89':
      push_whole(Kind::Bool, 0);
      break;
    case 'J':
      push_whole(Kind::Int, static_cast<int32_t>(number(4)));
      break;
    case 'K':
      push_whole(Kind::Int, static_cast<int64_t>(number(1)));
      break;
    case 'M':
      push_whole(Kind::Int, static_cast<int64_t>(number(2)));
      break;
    case 'I':
    case 'L':
      push_decimal(line());
      break;
    case '\x8a':
      push_long(take(number(1)));
      break;  // LONG1
    case '\x8b':
      push_long(take(number(4)));
      break;  // LONG4
    case 'G': {
      const auto raw = take(8);
      uint64_t bits = 0;
      for (const char c : raw) bits = bits << 8 | static_cast<uint8_t>(c);
      double value = 0;
      std::memcpy(&value, &bits, sizeof value);
      push_float(value);
      break;
    }
    case 'F':
      push_float(std::strtod(line().c_str(), nullptr));
      break;
    case ']':
      push(make(Kind::List));
      break;
    case ')':
      push(make(Kind::Tuple));
      break;
    case '}':
      push(make(Kind::Dict));
      break;
    case 'l':
      push_items(Kind::List, pop_to_mark());
      break;
    case 't':
      push_items(Kind::Tuple, pop_to_mark());
      break;
    case '\x85':
      push_tuple(1);
      break;
    case '\x86':
      push_tuple(2);
      break;
    case '\x87':
      push_tuple(3);
      break;
    case 'd': {
      const auto values = pop_to_mark();
      push(make(Kind::Dict));
      add_pairs(top(), values);
      break;
    }
    case 'a': {
      auto* value = pop();
      append(top(), {value});
      break;
    }
    case 'e': {
      const auto values = pop_to_mark();
      append(top(), values);
      break;
    }
    case 's': {
      auto* value = pop();
      auto* key = pop();
      add_pairs(top(), {key, value});
      break;
    }
    case 'u': {
      const auto values = pop_to_mark();
      add_pairs(top(), values);
      break;
    }
    case 'p':
      remember(index_line());
      break;
    case 'q':
      remember(number(1));
      break;
    case 'r':
      remember(number(4));
      break;
    case '\x94':
      remember(memo_.size());
      break;  // MEMOIZE
    case 'g':
      recall(index_line());
      break;
    case 'h':
      recall(number(1));
      break;
    case 'j':
      recall(number(4));
      break;
    default:
      if (!step_text(op) && !step_object(op))
        fail(cat("opcode ", static_cast<int>(static_cast<uint8_t>(op)), " is unknown"));
  }
  return false;
}

bool PickleMachine::step_text(char op) {
  switch (op) {
    case 'X':
      push_text(Kind::String, take(number(4)));
      return true;
    case '\x8c':
      push_text(Kind::String, take(number(1)));
      return true;  // SHORT_BINUNICODE
    case '\x8d':
      push_text(Kind::String, take(number(8)));
      return true;
    case 'V':
      push_text(Kind::String, line());
      return true;
    case 'S':
      push_quoted(line());
      return true;
    // Python 2's str is what its programs used for names.
    case 'T':
      push_text(Kind::String, take(number(4)));
      return true;
    case 'U':
      push_text(Kind::String, take(number(1)));
      return true;
    case 'B':
      push_text(Kind::Bytes, take(number(4)));
      return true;
    case 'C':
      push_text(Kind::Bytes, take(number(1)));
      return true;
    case '\x8e':
    case '\x96':
      push_text(Kind::Bytes, take(number(8)));
      return true;
    default:
      return false;
  }
}

bool PickleMachine::step_object(char op) {
  switch (op) {
    case 'c': {  // GLOBAL
      const std::string module = line(), name = line();
      push(global(module, name));
      return true;
    }
    case '\x93': {  // STACK_GLOBAL
      const auto* name = pop();
      const auto* module = pop();
      if (!name->is(Kind::String) || !module->is(Kind::String)) fail("a class has no name");
      push(global(module->text, name->text));
      return true;
    }
    case 'R':
    case '\x81': {  // REDUCE, NEWOBJ
      auto* arguments = pop();
      const auto* callee = pop();
      call(callee, arguments);
      return true;
    }
    case '\x92': {  // NEWOBJ_EX
      pop();
      auto* arguments = pop();
      const auto* callee = pop();
      call(callee, arguments);
      return true;
    }
    case 'i':
    case 'o': {  // INST, OBJ
      PickleValue* callee = nullptr;
      if (op == 'i') {
        const std::string module = line(), name = line();
        callee = global(module, name);
      }
      auto* arguments = make(Kind::Tuple);
      arguments->items = pop_to_mark();
      if (callee == nullptr) {
        if (arguments->items.empty()) fail("an object has no class");
        callee = arguments->items.front();
        arguments->items.erase(arguments->items.begin());
      }
      call(callee, arguments);
      return true;
    }
    case 'b': {  // BUILD: a state_dict's _metadata, a module's attributes
      auto* state = pop();
      auto* target = top();
      if (target->is(Kind::Object)) target->state = state;
      return true;
    }
    case 'Q':
    case 'P': {  // BINPERSID, PERSID
      auto* id = op == 'Q' ? pop() : make(Kind::String);
      if (op == 'P') id->text = line();
      push_items(Kind::Persistent, {id});
      return true;
    }
    case '\x8f': {  // EMPTY_SET
      auto* set = make(Kind::Object);
      set->text = "builtins.set";
      push(set);
      return true;
    }
    case '\x90': {  // ADDITEMS
      const auto values = pop_to_mark();
      append(top(), values);
      return true;
    }
    case '\x91': {  // FROZENSET
      push_items(Kind::Object, pop_to_mark());
      top()->text = "builtins.frozenset";
      return true;
    }
    default:
      return false;
  }
}

Pickle read_pickle(std::string_view& bytes, const std::string& place, const PickleLimits& limits) {
  PickleMachine machine(bytes, place, limits);
  Pickle pickle = machine.run();
  bytes.remove_prefix(machine.n_read());
  return pickle;
}

}  // namespace t3d::io
