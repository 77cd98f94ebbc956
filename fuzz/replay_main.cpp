#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/// Feeds every file of the folders named on the command line to the fuzz target, and every prefix that cuts
/// the file short at one of 64 evenly spaced places. Exit 0 means that none of them crashed.
int main(int argc, char** argv) {
  int n_files = 0, n_inputs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      const std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(file)),
                                       std::istreambuf_iterator<char>());
      ++n_files;
      for (int cut = 0; cut <= 64; ++cut, ++n_inputs) {
        // A copy of the exact size, so that a sanitizer sees a read past the end.
        const std::vector<uint8_t> prefix(bytes.begin(),
                                          bytes.begin() + static_cast<long>(bytes.size() * cut / 64));
        LLVMFuzzerTestOneInput(prefix.data(), prefix.size());
      }
    }
  }
  std::printf("%d seeds, %d inputs, no crash\n", n_files, n_inputs);
  return n_files > 0 ? 0 : 1;
}
