#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "plugin.h"

typedef exports_berth_checksum_checksums_algorithm_t wit_algorithm_t;

// The order of the cases in wit/plugin.wit.
static const algorithm_t ALGORITHMS[] = {CRC32, SHA1, SHA256};

// The checksum in hexadecimal digits, for the glue to free.
static void hex_of(algorithm_t algorithm, const uint8_t *data, size_t length, plugin_string_t *ret) {
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[HASH_BYTES];
    hash(algorithm, data, length, bytes);
    size_t count = hash_bytes(algorithm);
    ret->len = 2 * count;
    ret->ptr = malloc(ret->len);
    for (size_t at = 0; at < count; at++) {
        ret->ptr[2 * at] = digits[bytes[at] >> 4];
        ret->ptr[2 * at + 1] = digits[bytes[at] & 15];
    }
}

void exports_berth_checksum_checksums_text(wit_algorithm_t algorithm, plugin_string_t *text, plugin_string_t *ret) {
    hex_of(ALGORITHMS[algorithm], text->ptr, text->len, ret);
    plugin_string_free(text);
}

void exports_berth_checksum_checksums_data(wit_algorithm_t algorithm, plugin_list_u8_t *data, plugin_string_t *ret) {
    hex_of(ALGORITHMS[algorithm], data->ptr, data->len, ret);
    plugin_list_u8_free(data);
}

static bool same(const plugin_string_t *given, const plugin_string_t *actual) {
    for (size_t at = 0; at < actual->len; at++) {
        if (tolower(given->ptr[at]) != actual->ptr[at]) {
            return false;
        }
    }
    return true;
}

bool exports_berth_checksum_checksums_verify(plugin_list_u8_t *data, plugin_string_t *checksum,
                                             exports_berth_checksum_checksums_verdict_t *ret, plugin_string_t *err) {
    size_t known = 0, count = sizeof ALGORITHMS / sizeof *ALGORITHMS;
    while (known < count && 2 * hash_bytes(ALGORITHMS[known]) != checksum->len) {
        known++;
    }
    if (known < count) {
        hex_of(ALGORITHMS[known], data->ptr, data->len, &ret->actual);
        ret->algorithm = (wit_algorithm_t)known;
        ret->fits = same(checksum, &ret->actual);
    } else {
        plugin_string_dup(err, "a checksum has 8 (CRC-32), 40 (SHA-1) or 64 (SHA-256) hexadecimal digits");
    }
    plugin_list_u8_free(data);
    plugin_string_free(checksum);
    return known < count;
}
