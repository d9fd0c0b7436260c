#include "../src/words.h"

#include <assert.h>
#include <string.h>

int main(void) {
    assert(strcmp(hello("Ada"), "Hello, Ada!") == 0);
    assert(strcmp(visit("Ada", 2), "Hello, Ada! Visit 2.") == 0);
    return 0;
}
