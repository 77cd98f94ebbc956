#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace t3d {

/// CRC-32C (Castagnoli polynomial 0x1EDC6F41, RFC 3720 B.4): finds every error burst of up to 32 bits.
/// `previous` continues an earlier piece. Uses the CPU's instruction where there is one (about 8 bytes per
/// three clock cycles), a table elsewhere; both give the same value.
uint32_t crc32c(const void* data, size_t n_bytes, uint32_t previous = 0);

/// The table version, for tests.
uint32_t crc32c_portable(const void* data, size_t n_bytes, uint32_t previous = 0);

/// Eight hexadecimal digits.
std::string checksum_text(uint32_t checksum);

}  // namespace t3d
