/* A library that says when it is loaded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

__attribute__((constructor)) static void loaded(void) {
    Dl_info info;
    if (dladdr((void *)loaded, &info) != 0) fprintf(stderr, "%s is loaded\n", info.dli_fname);
}
