#include "hash.h"

#include <string.h>

enum { BLOCK = 64 };

typedef void (*mix_t)(uint32_t *state, const uint8_t *block);

static uint32_t left(uint32_t value, int bits) {
    return value << bits | value >> (32 - bits);
}

static uint32_t right(uint32_t value, int bits) {
    return left(value, 32 - bits);
}

static uint32_t read_big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_big(uint8_t *at, uint32_t value) {
    for (int byte = 0; byte < 4; byte++) {
        at[byte] = (uint8_t)(value >> (24 - 8 * byte));
    }
}

static uint32_t crc32(const uint8_t *data, size_t length) {
    uint32_t rest = 0xffffffff;
    for (size_t at = 0; at < length; at++) {
        rest ^= data[at];
        for (int bit = 0; bit < 8; bit++) {
            rest = rest >> 1 ^ (rest & 1 ? 0xedb88320 : 0);
        }
    }
    return ~rest;
}

static void mix_sha1(uint32_t *state, const uint8_t *block) {
    static const uint32_t round[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t words[80];
    for (int at = 0; at < 80; at++) {
        words[at] = at < 16 ? read_big(block + 4 * at)
                            : left(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1);
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int at = 0; at < 80; at++) {
        uint32_t choice = at < 20 ? (b & c) | (~b & d) : at < 40 || at >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
        uint32_t next = left(a, 5) + choice + e + round[at / 20] + words[at];
        e = d, d = c, c = left(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static void mix_sha256(uint32_t *state, const uint8_t *block) {
    static const uint32_t round[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    };
    uint32_t words[64];
    for (int at = 0; at < 64; at++) {
        if (at < 16) {
            words[at] = read_big(block + 4 * at);
            continue;
        }
        uint32_t old = words[at - 15], young = words[at - 2];
        words[at] = words[at - 16] + (right(old, 7) ^ right(old, 18) ^ old >> 3) + words[at - 7] +
                    (right(young, 17) ^ right(young, 19) ^ young >> 10);
    }
    uint32_t v[8];
    memcpy(v, state, sizeof v);
    for (int at = 0; at < 64; at++) {
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t most = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        uint32_t one = v[7] + (right(v[4], 6) ^ right(v[4], 11) ^ right(v[4], 25)) + choice + round[at] + words[at];
        uint32_t two = (right(v[0], 2) ^ right(v[0], 13) ^ right(v[0], 22)) + most;
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (int at = 0; at < 8; at++) {
        state[at] += v[at];
    }
}

// Whole blocks, then one or two with the rest, a bit, and the length.
static void digest(mix_t mix, uint32_t *state, const uint8_t *data, size_t length) {
    size_t whole = length / BLOCK * BLOCK, rest = length - whole;
    for (size_t at = 0; at < whole; at += BLOCK) {
        mix(state, data + at);
    }
    uint8_t last[2 * BLOCK] = {0};
    size_t end = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    if (rest > 0) {
        memcpy(last, data + whole, rest);
    }
    last[rest] = 0x80;
    write_big(last + end - 8, (uint32_t)((uint64_t)length >> 29));
    write_big(last + end - 4, (uint32_t)(length << 3));
    for (size_t at = 0; at < end; at += BLOCK) {
        mix(state, last + at);
    }
}

size_t hash_bytes(algorithm_t algorithm) {
    return algorithm == CRC32 ? 4 : algorithm == SHA1 ? 20 : 32;
}

void hash(algorithm_t algorithm, const uint8_t *data, size_t length, uint8_t *out) {
    uint32_t sha1[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint32_t sha256[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint32_t sum;
    uint32_t *words = &sum;
    switch (algorithm) {
    case CRC32:
        sum = crc32(data, length);
        break;
    case SHA1:
        digest(mix_sha1, words = sha1, data, length);
        break;
    case SHA256:
        digest(mix_sha256, words = sha256, data, length);
        break;
    }
    for (size_t at = 0; at < hash_bytes(algorithm) / 4; at++) {
        write_big(out + 4 * at, words[at]);
    }
}
