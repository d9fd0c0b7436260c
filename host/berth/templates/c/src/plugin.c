#include <stdlib.h>
#include <string.h>

#include "plugin.h"
#include "words.h"

// Arguments belong to the function, which frees them; the glue frees what is answered.
static char *taken(plugin_string_t *text) {
    char *copy = malloc(text->len + 1);
    memcpy(copy, text->ptr, text->len);
    copy[text->len] = '\0';
    plugin_string_free(text);
    return copy;
}

static void answer(plugin_string_t *ret, char *text) {
    plugin_string_set(ret, text);
}

void exports_my_{{snake}}_greetings_greet(plugin_string_t *name, plugin_string_t *ret) {
    char *who = taken(name);
    answer(ret, hello(who));
    free(who);
}

// `true` is the success of the tool, `false` its failure, which `err` tells.
bool exports_my_{{snake}}_greetings_welcome(plugin_string_t *name, plugin_string_t *ret,
                                                exports_my_{{snake}}_greetings_error_t *err) {
    char *who = taken(name);
    int64_t visits = 0;
    bool counted = false;
    wasi_keyvalue_store_own_bucket_t bucket;
    wasi_keyvalue_store_error_t error;
    plugin_string_t store, key;
    plugin_string_set(&store, "");
    plugin_string_set(&key, who);
    if (wasi_keyvalue_store_open(&store, &bucket, &error)) {
        counted = wasi_keyvalue_atomics_increment(wasi_keyvalue_store_borrow_bucket(bucket), &key, 1, &visits, &error);
        wasi_keyvalue_store_bucket_drop_own(bucket);
    }
    if (counted) {
        answer(ret, visit(who, visits));
    } else {
        err->tag = EXPORTS_MY_{{SNAKE}}_GREETINGS_ERROR_NOT_COUNTED;
        plugin_string_dup(&err->val.not_counted, "the key-value store refuses");
        wasi_keyvalue_store_error_free(&error);
    }
    free(who);
    return counted;
}
