#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *hello(const char *name) {
    size_t size = strlen(name) + sizeof "Hello, !";
    char *text = malloc(size);
    snprintf(text, size, "Hello, %s!", name);
    return text;
}

char *visit(const char *name, int64_t visits) {
    size_t size = strlen(name) + 64;
    char *text = malloc(size);
    snprintf(text, size, "Hello, %s! Visit %lld.", name, (long long)visits);
    return text;
}
