#include "../src/hash.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(algorithm_t algorithm, const char *text, const char *wanted) {
    uint8_t bytes[HASH_BYTES];
    char said[2 * HASH_BYTES + 1] = "";
    hash(algorithm, (const uint8_t *)text, strlen(text), bytes);
    for (size_t at = 0; at < hash_bytes(algorithm); at++) {
        sprintf(said + 2 * at, "%02x", bytes[at]);
    }
    if (strcmp(said, wanted) != 0) {
        fprintf(stderr, "%s: %s is not %s\n", text, said, wanted);
        abort();
    }
}

int main(void) {
    check(CRC32, "", "00000000");
    check(CRC32, "123456789", "cbf43926");
    check(SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check(SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    check(SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check(SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // Two blocks, the second of them for the length alone.
    check(SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    return 0;
}
