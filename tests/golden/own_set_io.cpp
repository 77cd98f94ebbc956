#include <cstring>

#include "tests/golden/own_set.h"
#include "tests/support/torch_writer.h"

namespace t3d::testing {
namespace {

namespace w = torch_writer;

const std::string kProtocol = "\x80\x02";

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  std::string bytes(flat.nbytes(), '\0');
  std::memcpy(bytes.data(), flat.data_ptr(), bytes.size());
  return bytes;
}

/// A zip archive as PyTorch writes since version 1.6. `around` gives the whole object from its dict of
/// tensors.
template <class Around>
std::string zip_file(const Tensors& tensors, const std::string& prefix, const Around& around) {
  std::vector<w::Entry> entries(1);
  std::string items;
  for (const auto& [name, tensor] : tensors) {
    const std::string key = std::to_string(entries.size() - 1);
    items += w::text(prefix + name) + w::tensor(tensor, key);
    entries.push_back({"archive/data/" + key, bytes_of(tensor)});
  }
  entries[0] = {"archive/data.pkl", kProtocol + around("ccollections\nOrderedDict\n)R(" + items + "u") + "."};
  return w::zip(entries);
}

/// The container of older versions: magic number, protocol, system, the dict, its storages' keys, and the
/// storages.
std::string legacy_file(const Tensors& tensors) {
  std::string items, keys, storages;
  for (const auto& [name, tensor] : tensors) {
    items += w::text(name) + w::tensor(tensor, name);
    keys += w::text(name);
    storages += w::number(static_cast<uint64_t>(tensor.numel()), 8) + bytes_of(tensor);
  }
  const std::string magic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12);
  return kProtocol + magic + "." + kProtocol + w::whole(1001) + "." + kProtocol + "}(" +
         w::text("little_endian") + "\x88u." + kProtocol + "}(" + items + "u." + kProtocol + "](" + keys +
         "e." + storages;
}

}  // namespace

void add_io_cases(OwnSet& set) {
  const std::string folder = "torch-pickle/";
  const Tensors tensors{{"a.weight", inputs({3, 4}).to(at::kFloat)},
                        {"b.ids", at::randint(-9, 9, {5}, at::kLong)},
                        {"c.half", inputs({2, 2, 2}).to(at::kHalf)},
                        {"d.mask", at::rand({7}) < 0.5}};
  constexpr int64_t kEpoch = 5, kStep = 321;
  constexpr double kRate = 0.0025;
  set.write_text(folder + "flat.pt", zip_file(tensors, "", [](const std::string& dict) { return dict; }));
  set.write_text(folder + "nested.ckpt", zip_file(tensors, "net.", [&](const std::string& dict) {
                   return "}(" + w::text("epoch") + w::whole(kEpoch) + w::text("global_step") +
                          w::whole(kStep) + w::text("hyper") + "}(" + w::text("lr") + w::real(kRate) + "u" +
                          w::text("state_dict") + dict + "u";
                 }));
  set.write_text(folder + "legacy.pt", legacy_file(tensors));
  set.add(folder + "expected.safetensors", tensors,
          {{"files",
            {{folder + "flat.pt", {{"prefix", ""}}},
             {folder + "legacy.pt", {{"names", {"a.weight", "b.ids", "c.half", "d.mask"}}}},
             {folder + "nested.ckpt",
              {{"prefix", "net."},
               {"key", "state_dict"},
               {"epoch", kEpoch},
               {"global_step", kStep},
               {"hyper", {{"lr", kRate}}}}}}}});
}

}  // namespace t3d::testing
