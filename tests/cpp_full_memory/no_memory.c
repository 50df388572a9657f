/* The C library's malloc, but that there is no memory for 128 KiB: loaded before a program. */
#include <stddef.h>

extern void *__libc_malloc(size_t size);

void *malloc(size_t size) { return size == 131072 ? NULL : __libc_malloc(size); }
