#include <memory>

#include "t3d/core/error.h"
#include "t3d/io/mapped_file.h"
#include "t3d/io/npy.h"
#include "t3d/io/zip_archive.h"

namespace t3d::io {

std::map<std::string, NpyArray> read_npz(const std::string& path) {
  auto file = std::make_shared<const MappedFile>(path);
  if (!ZipArchive::looks_like_zip(file->bytes()))
    throw UserError(cat(path, ": this is no .npz file. Save it with numpy.savez."));
  const ZipArchive archive(std::move(file), ZipEntries::StoredOrDeflated);
  const std::string ending = ".npy";
  std::map<std::string, NpyArray> arrays;
  for (const ZipEntry& entry : archive.entries()) {
    const size_t n = entry.name.size();
    if (n <= ending.size() || entry.name.compare(n - ending.size(), ending.size(), ending) != 0) continue;
    const std::string name = entry.name.substr(0, n - ending.size());
    arrays.emplace(name, parse_npy(archive.unpacked(entry), cat(path, ": ", name)));
  }
  return arrays;
}

}  // namespace t3d::io
