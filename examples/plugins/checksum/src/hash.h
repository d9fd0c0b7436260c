// Checksums. Plain C, which every compiler can test.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The longest checksum, in bytes.
#define HASH_BYTES 32

typedef enum { CRC32, SHA1, SHA256 } algorithm_t;

// The bytes of a checksum of that kind.
size_t hash_bytes(algorithm_t algorithm);

// Writes `hash_bytes` bytes to `out`.
void hash(algorithm_t algorithm, const uint8_t *data, size_t length, uint8_t *out);
