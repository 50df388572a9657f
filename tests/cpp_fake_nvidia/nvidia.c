/* NVIDIA's driver, CUDA and TensorRT as they say what they are where there is one GPU, each by the names of its own
 * library: which of them a file is, its name says. When one is loaded it says so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

__attribute__((constructor)) static void loaded(void) {
    Dl_info info;
    if (dladdr((void *)loaded, &info) != 0) fprintf(stderr, "%s is loaded\n", info.dli_fname);
}

/* The driver. */
int cuInit(unsigned flags) { return flags != 0; }

int cuDeviceGetCount(int *count) {
    *count = 1;
    return 0;
}

int cuDeviceGet(int *device, int number) {
    *device = 7;
    return number != 0;
}

int cuDeviceGetName(char *name, int size, int device) {
    snprintf(name, (size_t)size, "NVIDIA \"Fake\" 1\xC2\xB2");
    return device != 7;
}

int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
    memset(uuid, 5, 16);
    return device != 7;
}

int cuDeviceTotalMem_v2(size_t *memory, int device) {
    *memory = 85520809984;
    return device != 7;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 9 : 0;
    return device != 7;
}

int cuDriverGetVersion(int *version) {
    *version = 13000;
    return 0;
}

/* Its management library. */
int nvmlInit_v2(void) { return 0; }

int nvmlSystemGetDriverVersion(char *version, unsigned size) {
    snprintf(version, size, "580.82.07");
    return 0;
}

int nvmlShutdown(void) { return 0; }

/* CUDA, cuDNN and TensorRT. */
int cudaRuntimeGetVersion(int *version) {
    *version = 13010;
    return 0;
}

size_t cudnnGetVersion(void) { return 91400; }

int getInferLibVersion(void) { return 101303; }
