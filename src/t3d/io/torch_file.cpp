#include "t3d/io/torch_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text_ends.h"
#include "t3d/io/zip_archive.h"

namespace t3d::io {
namespace {

using Kind = PickleValue::Kind;

struct StorageType {
  const char* name;
  at::ScalarType type;
};
constexpr StorageType kStorageTypes[] = {{"FloatStorage", at::kFloat},
                                         {"HalfStorage", at::kHalf},
                                         {"BFloat16Storage", at::kBFloat16},
                                         {"DoubleStorage", at::kDouble},
                                         {"LongStorage", at::kLong},
                                         {"IntStorage", at::kInt},
                                         {"ShortStorage", at::kShort},
                                         {"CharStorage", at::kChar},
                                         {"ByteStorage", at::kByte},
                                         {"BoolStorage", at::kBool},
                                         {"ComplexFloatStorage", at::kComplexFloat},
                                         {"UntypedStorage", at::kByte}};  // bytes; the tensor says of what

struct NamedType {
  const char* name;
  at::ScalarType type;
};
constexpr NamedType kNamedTypes[] = {{"torch.float32", at::kFloat},     {"torch.float16", at::kHalf},
                                     {"torch.bfloat16", at::kBFloat16}, {"torch.float64", at::kDouble},
                                     {"torch.int64", at::kLong},        {"torch.int32", at::kInt},
                                     {"torch.int16", at::kShort},       {"torch.int8", at::kChar},
                                     {"torch.uint8", at::kByte},        {"torch.bool", at::kBool}};

constexpr const char* kRebuildWithType = "torch._utils._rebuild_tensor_v3";

/// The long 0x1950a86a20f9469cfc6c in protocol 2: how a file older than PyTorch 1.6 begins.
constexpr std::string_view kLegacyStart("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15);
constexpr int kMaxDepth = 64;
constexpr size_t kMaxTensors = 1'000'000, kMaxVisits = 4'000'000;
/// A view may repeat elements (stride 0), but not blow a small file up to more than this.
constexpr uint64_t kMaxRepeated = uint64_t{1} << 20;

/// Where a storage's bytes lie.
struct Storage {
  uint64_t begin = 0, n_bytes = 0;
};

std::string key_text(const PickleValue& key) {
  if (key.is(Kind::String)) return key.text;
  return key.is(Kind::Int) ? cat(key.whole) : std::string();
}

}  // namespace

struct TorchFile::Reader {
  TorchFile& file;
  std::map<std::string, Storage> storages;  ///< by key
  std::map<std::string, uint64_t> wanted;   ///< legacy: bytes of each storage, as the pickle says
  size_t n_visits = 0;
  std::string first_object;  ///< of those that are no tensor: what a file without any tensor holds

  const std::string& path() const { return file.path(); }
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(path(), ": ", what, ". Get the file again."));
  }

  void read() {
    std::string_view bytes = file.file_->bytes();
    if (ZipArchive::looks_like_zip(bytes)) return read_zip();
    if (bytes.substr(0, kLegacyStart.size()) == kLegacyStart) return read_legacy(bytes);
    refuse_placeholder(bytes, path(), "a file of torch.save");
    const std::string hint = file_kind_hint(bytes);
    throw UserError(cat(path(),
                        ": does not begin as a file of torch.save does, neither a zip archive nor the older "
                        "container.",
                        hint.empty() ? " Get the file again." : hint));
  }

  void read_zip() {
    const ZipArchive archive(file.file_);
    std::string folder;
    for (const auto& entry : archive.entries())
      if (ends_with(entry.name, "/data.pkl") && entry.name.find('/') + 9 == entry.name.size())
        folder = entry.name.substr(0, entry.name.size() - 8);
    const auto* pickle = archive.find(folder + "data.pkl");
    if (folder.empty() || pickle == nullptr)
      throw UserError(cat(path(), ": is a zip archive without data.pkl, so torch.save did not write it",
                          archive.entries().empty()
                              ? "; it is empty. "
                              : cat("; it holds ", archive.entries().front().name.substr(0, 100),
                                    archive.entries().size() > 1 ? " and more. " : ". "),
                          "Unpack it and name the .safetensors, .pt, .ckpt or .bin file inside."));
    if (const auto* order = archive.find(folder + "byteorder"))
      if (archive.bytes(*order) != "little")
        throw UserError(
            cat(path(), ": its numbers are big-endian. Save it again on a little-endian machine."));
    const std::string start = folder + "data/";
    for (const auto& entry : archive.entries())
      if (entry.name.compare(0, start.size(), start) == 0)
        storages[entry.name.substr(start.size())] = {entry.begin, entry.n_bytes};
    std::string_view bytes = archive.bytes(*pickle);
    file.pickle_ = read_pickle(bytes, path());
    add_all(false);
  }

  /// Magic number, protocol, system, the object, keys of the storages; then each storage: how many elements
  /// (8 bytes) and the elements.
  void read_legacy(std::string_view bytes) {
    const size_t n_all = bytes.size();
    read_pickle(bytes, path());
    const Pickle protocol = read_pickle(bytes, path());
    if (!protocol.root().is(Kind::Int) || protocol.root().whole != 1001)
      fail("its container is of another version than 1001");
    const Pickle system = read_pickle(bytes, path());
    const auto* little = system.root().find("little_endian");
    if (little != nullptr && little->whole == 0)
      throw UserError(cat(path(), ": its numbers are big-endian. Save it again on a little-endian machine."));
    file.pickle_ = read_pickle(bytes, path());
    add_all(true);
    const Pickle keys = read_pickle(bytes, path());
    if (!keys.root().is(Kind::List)) fail("its list of storages is missing");
    for (const auto* key : keys.root().items) {
      const auto expected = wanted.find(key_text(*key));
      if (expected == wanted.end()) {
        // The size in bytes is known only from a tensor that we have read.
        fail(cat("storage \"", key_text(*key), "\" belongs to no tensor that this program reads"));
      }
      if (bytes.size() < 8 || bytes.size() - 8 < expected->second)
        fail(cat("it is cut off: storage ", expected->first, " of ", expected->second, " bytes has ",
                 bytes.size() < 8 ? 0 : bytes.size() - 8, " left"));
      storages[expected->first] = {n_all - bytes.size() + 8, expected->second};
      bytes.remove_prefix(8 + expected->second);
    }
    for (auto& [name, entry] : file.entries_) {
      const auto found = storages.find(keys_of_entries.at(name));
      if (found == storages.end()) fail(cat("the storage of tensor ", name, " is missing"));
      entry.begin = found->second.begin;
    }
  }

  std::map<std::string, std::string> keys_of_entries;  ///< legacy: storage key of each tensor

  void add_all(bool is_legacy) {
    const PickleValue& root = file.pickle_.root();
    const PickleValue* chosen = root.is(Kind::Dict) ? root.find("state_dict") : nullptr;
    const PickleValue* start = chosen != nullptr && chosen->is(Kind::Dict) ? chosen : &root;
    if (is_legacy) visit_storages(root, 0);
    add(*start, "", 0, is_legacy);
    if (file.entries_.empty())
      throw UserError(cat(path(), ": holds no tensors", first_object.empty() ? "" : ": ", first_object,
                          ". Save the model's state_dict with torch.save."));
  }

  void count_visit(int depth) {
    if (depth > kMaxDepth) fail(cat("its values are nested deeper than ", kMaxDepth));
    if (++n_visits > kMaxVisits) fail(cat("it holds more than ", kMaxVisits, " values"));
  }

  void add(const PickleValue& value, const std::string& name, int depth, bool is_legacy) {
    count_visit(depth);
    const auto below = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
    if (value.is(Kind::Dict)) {
      for (const auto& [key, item] : value.pairs) {
        const std::string text = key_text(*key);
        if (!text.empty()) add(*item, below(text), depth + 1, is_legacy);
      }
    } else if (value.is(Kind::List) || value.is(Kind::Tuple)) {
      for (size_t i = 0; i < value.items.size(); ++i)
        add(*value.items[i], below(cat(i)), depth + 1, is_legacy);
    } else if (const PickleValue* tensor = tensor_in(value)) {
      if (file.entries_.size() >= kMaxTensors) fail(cat("it holds more than ", kMaxTensors, " tensors"));
      const std::string title = name.empty() ? "tensor" : name;
      TorchEntry entry = read_tensor(*tensor, title, is_legacy);
      if (!file.entries_.emplace(title, std::move(entry)).second) fail(cat("two tensors are named ", title));
    } else if (value.is(Kind::Object) && first_object.empty()) {
      first_object = cat(name.empty() ? "its root" : name, " is an object of class ",
                         value.text.substr(0, 100), ", which is not made, since no code of a file is run");
    }
  }

  /// Legacy containers list every storage, those of the optimizer too: their sizes are needed to step over.
  void visit_storages(const PickleValue& value, int depth) {
    count_visit(depth);
    if (value.is(Kind::Persistent)) {
      const auto id = storage_id(value, "a tensor");
      wanted[id.key] = id.n_bytes;
      return;
    }
    for (const auto* item : value.items) visit_storages(*item, depth + 1);
    for (const auto& [key, item] : value.pairs) visit_storages(*item, depth + 1);
    if (value.state != nullptr) visit_storages(*value.state, depth + 1);
  }

  /// The arguments of _rebuild_tensor(_v2, _v3) inside a tensor or a parameter; nullptr for anything else.
  static const PickleValue* tensor_in(const PickleValue& value) {
    const PickleValue* at = &value;
    for (int i = 0; i < 4 && at->is(Kind::Object); ++i) {
      if (at->text == "torch._utils._rebuild_tensor_v2" || at->text == "torch._utils._rebuild_tensor" ||
          at->text == kRebuildWithType)
        return at;
      const bool is_wrapper = at->text == "torch._utils._rebuild_parameter" ||
                              at->text == "torch._utils._rebuild_parameter_with_state" ||
                              at->text == "torch.nn.parameter.Parameter";
      if (!is_wrapper || at->items.empty()) return nullptr;
      at = at->items[0];
    }
    return nullptr;
  }

  struct StorageId {
    std::string key;
    at::ScalarType dtype;
    uint64_t n_bytes;
  };

  /// ('storage', class, key, device, number of elements [, view])
  StorageId storage_id(const PickleValue& value, const std::string& name) const {
    const PickleValue* id = value.is(Kind::Persistent) ? value.items.at(0) : nullptr;
    if (id == nullptr || !id->is(Kind::Tuple) || id->items.size() < 5 || !id->items[1]->is(Kind::Global) ||
        !id->items[4]->is(Kind::Int) || id->items[4]->whole < 0)
      fail(cat(name, " has no storage"));
    if (id->items.size() > 5 && !id->items[5]->is(Kind::None))
      throw UserError(
          cat(path(), ": ", name,
              " is a view of a storage as PyTorch before 0.4 wrote it. Load and save the file with "
              "a newer PyTorch."));
    const std::string& type_name = id->items[1]->text;
    const auto* type =
        std::find_if(std::begin(kStorageTypes), std::end(kStorageTypes),
                     [&](const auto& known) { return ends_with(type_name, cat(".", known.name)); });
    if (type == std::end(kStorageTypes))
      throw UserError(
          cat(path(), ": ", name, " is stored as ", type_name.substr(0, 100),
              ", which this program does not read. Convert it to float and save the file again."));
    const auto n_elements = static_cast<uint64_t>(id->items[4]->whole);
    const uint64_t element = at::elementSize(type->type);
    if (n_elements > file.file_->n_bytes() / element)
      fail(cat("it is cut off: the storage of ", name, " has ", n_elements,
               " elements, but the file has only ", file.file_->n_bytes(), " bytes"));
    return {key_text(*id->items[2]), type->type, n_elements * element};
  }

  std::vector<int64_t> whole_numbers(const PickleValue& value, const std::string& name) const {
    std::vector<int64_t> out;
    for (const auto* item : value.items) {
      if (!item->is(Kind::Int) || item->whole < 0)
        fail(cat(name, " has a shape that is not of whole numbers"));
      out.push_back(item->whole);
    }
    if (!value.is(Kind::Tuple) || out.size() > 16) fail(cat(name, " has a shape that is none"));
    return out;
  }

  TorchEntry read_tensor(const PickleValue& call, const std::string& name, bool is_legacy) {
    if (call.items.size() < 4 || !call.items[1]->is(Kind::Int)) fail(cat(name, " is described incompletely"));
    const StorageId id = storage_id(*call.items[0], name);
    TorchEntry entry;
    entry.dtype = id.dtype;
    if (call.text == kRebuildWithType) set_type(call, name, entry);
    entry.n_storage = id.n_bytes;
    entry.offset = call.items[1]->whole;
    entry.shape = whole_numbers(*call.items[2], name);
    entry.strides = whole_numbers(*call.items[3], name);
    check_view(entry, name);
    if (is_legacy) {
      keys_of_entries[name] = id.key;  // placed once all storages are known
      return entry;
    }
    const auto found = storages.find(id.key);
    if (found == storages.end()) fail(cat("the storage of ", name, ", data/", id.key, ", is missing"));
    if (found->second.n_bytes < id.n_bytes)
      fail(cat("the storage of ", name, " has ", found->second.n_bytes, " bytes, expected ", id.n_bytes));
    entry.begin = found->second.begin;
    return entry;
  }

  /// _rebuild_tensor_v3 has the type behind the arguments of v2, for types that came after storages had
  /// types.
  void set_type(const PickleValue& call, const std::string& name, TorchEntry& entry) const {
    if (call.items.size() < 7 || !call.items[6]->is(Kind::Global) || entry.dtype != at::kByte)
      fail(cat(name, " is described incompletely"));
    const std::string& type = call.items[6]->text;
    entry.float8 = float8_named(type);
    if (entry.float8) return;
    const auto* known = std::find_if(std::begin(kNamedTypes), std::end(kNamedTypes),
                                     [&type](const NamedType& each) { return type == each.name; });
    if (known == std::end(kNamedTypes))
      throw UserError(
          cat(path(), ": ", name, " is of type ", type.substr(0, 100),
              ", which this program does not read. Convert it to float and save the file again."));
    entry.dtype = known->type;
  }

  void check_view(const TorchEntry& entry, const std::string& name) const {
    const uint64_t element = at::elementSize(entry.dtype), n_storage = entry.n_storage / element;
    const auto past = [&] {
      fail(cat(name, " reaches past its storage of ", n_storage, " elements (offset ", entry.offset,
               ", shape ", at::IntArrayRef(entry.shape), ", strides ", at::IntArrayRef(entry.strides), ")"));
    };
    if (entry.shape.size() != entry.strides.size() || entry.offset < 0) past();
    uint64_t n = 1, last = static_cast<uint64_t>(entry.offset);
    for (size_t i = 0; i < entry.shape.size(); ++i) {
      uint64_t reach = 0;
      const auto size = static_cast<uint64_t>(entry.shape[i]);
      if (size != 0 && __builtin_mul_overflow(size - 1, static_cast<uint64_t>(entry.strides[i]), &reach))
        past();
      if (__builtin_add_overflow(last, reach, &last) || __builtin_mul_overflow(n, size, &n)) past();
    }
    if (n != 0 && last >= n_storage) past();
    if (n > std::max<uint64_t>(n_storage, kMaxRepeated))
      fail(cat(name, " repeats its ", n_storage, " elements to ", n, ", which no model needs"));
  }
};

TorchFile::TorchFile(const std::string& path) : file_(std::make_shared<const MappedFile>(path)) {
  Reader{*this, {}, {}, 0, {}, {}}.read();
}

std::vector<std::string> TorchFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const TorchEntry& TorchFile::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    throw UserError(cat(path(), ": has no tensor \"", name, "\" among its ", entries_.size(),
                        end_or_suggestion(name, names()), " It is not the file that belongs here."));
  return found->second;
}

at::Tensor TorchFile::tensor(const std::string& name) const {
  const TorchEntry& found = entry(name);
  return found.float8 ? decode_float8(stored(found, name), *found.float8) : stored(found, name);
}

at::Tensor TorchFile::stored(const TorchEntry& found, const std::string& name) const {
  const auto options = at::TensorOptions().dtype(found.dtype);
  if (std::find(found.shape.begin(), found.shape.end(), 0) != found.shape.end())
    return at::empty(found.shape, options);
  const size_t element = at::elementSize(found.dtype);
  char* storage = file_->data() + found.begin;
  if (found.dtype == at::kBool &&
      std::any_of(storage, storage + found.n_storage, [](char value) { return value != 0 && value != 1; }))
    throw UserError(cat(path(), ": tensor \"", name,
                        "\" of type bool holds a byte that is neither 0 nor 1. Get the file again."));
  if (reinterpret_cast<uintptr_t>(storage) % element != 0) {
    auto aligned = at::empty({static_cast<int64_t>(found.n_storage / element)}, options);
    std::copy_n(storage, found.n_storage, static_cast<char*>(aligned.data_ptr()));
    return aligned.as_strided(found.shape, found.strides, found.offset);
  }
  return at::from_blob(
      storage + static_cast<size_t>(found.offset) * element, found.shape, found.strides,
      [mapping = file_](void*) {}, options);
}

void TorchFile::release(const std::string& name) const {
  const TorchEntry& found = entry(name);
  file_->release(found.begin, found.begin + found.n_storage);
}

}  // namespace t3d::io
