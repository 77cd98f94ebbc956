#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

/// NumPy's .npz files, as numpy.savez and numpy.savez_compressed write them.
namespace t3d::testing {

struct NpzEntry {
  std::string name, data;
  uint64_t claimed = 0;  ///< bytes that the archive says the entry holds; 0: as many as it does
};

/// A .npy file of version 1.
template <class T>
std::string npz_array(const std::string& type, const std::vector<int64_t>& shape,
                      const std::vector<T>& values) {
  std::string sides;
  for (const int64_t side : shape) sides += std::to_string(side) + ", ";
  const std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + sides + "), }\n";
  std::string out("\x93NUMPY\x01\0", 8);
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  return out + header + std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

inline std::string deflated(const std::string& data) {
  std::string out(compressBound(data.size()) + 16, '\0');
  z_stream stream{};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string npz(const std::vector<NpzEntry>& entries, bool compress) {
  const auto number = [](uint64_t value, int n_bytes) {
    std::string out;
    for (int i = 0; i < n_bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  std::string body, directory;
  for (const NpzEntry& e : entries) {
    const std::string packed = compress ? deflated(e.data) : e.data;
    const std::string sizes =
        number(packed.size(), 4) + number(e.claimed != 0 ? e.claimed : e.data.size(), 4);
    const auto checksum = crc32_z(0, reinterpret_cast<const Bytef*>(e.data.data()), e.data.size());
    const std::string common = number(20, 2) + number(0, 2) + number(compress ? 8 : 0, 2) + number(0, 4) +
                               number(checksum, 4) + sizes + number(e.name.size(), 2) + number(0, 2);
    directory += number(0x02014b50, 4) + number(20, 2) + common + std::string(10, '\0') +
                 number(body.size(), 4) + e.name;
    body += number(0x04034b50, 4) + common + e.name + packed;
  }
  return body + directory + number(0x06054b50, 4) + number(0, 4) + number(entries.size(), 2) +
         number(entries.size(), 2) + number(directory.size(), 4) + number(body.size(), 4) + number(0, 2);
}

}  // namespace t3d::testing
