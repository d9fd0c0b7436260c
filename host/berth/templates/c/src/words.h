// Plain C, which every compiler can test. What is answered is the caller's to free.
#pragma once

#include <stdint.h>

char *hello(const char *name);
char *visit(const char *name, int64_t visits);
