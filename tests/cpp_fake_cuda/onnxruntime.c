/* ONNX Runtime as a build for CUDA looks from outside, on a machine without a GPU: the library that REAL_ONNXRUNTIME
 * names, which runs everything on the CPU. The options that CUDA is given go to the file CUDA_OPTIONS, a line for each.
 * ON_CUDA is how many of a graph's parts it says that CUDA runs; VERSION is the version that it says it has.
 */
#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to EpAssignedNode_GetOperatorType, of version 24. */
enum { ENTRIES = 413, PROVIDER_OF_PART = 408 };

static const OrtApiBase *real;
static OrtCUDAProviderOptionsV2 *const options = (OrtCUDAProviderOptionsV2 *)&real;

static OrtStatusPtr available(char ***names, int *count) {
    static char *both[] = {"CUDAExecutionProvider", "CPUExecutionProvider"};
    *names = both;
    *count = 2;
    return NULL;
}

static OrtStatusPtr release_available(char **names, int count) {
    (void)names, (void)count;
    return NULL;
}

static OrtStatusPtr create(OrtCUDAProviderOptionsV2 **out) {
    *out = options;
    return NULL;
}

static void release(OrtCUDAProviderOptionsV2 *ignored) { (void)ignored; }

static OrtStatusPtr update(OrtCUDAProviderOptionsV2 *ignored, const char *const *keys, const char *const *values,
                           size_t count) {
    FILE *file = fopen(getenv("CUDA_OPTIONS"), "w");
    size_t i;
    (void)ignored;
    for (i = 0; i < count; ++i) fprintf(file, "%s=%s\n", keys[i], values[i]);
    fclose(file);
    return NULL;
}

static OrtStatusPtr append(OrtSessionOptions *session, const OrtCUDAProviderOptionsV2 *ignored) {
    (void)session, (void)ignored;
    return NULL;
}

static OrtStatusPtr provider_of_part(const void *part, const char **name) {
    static long asked = 0;
    (void)part;
    *name = asked++ < atol(getenv("ON_CUDA")) ? "CUDAExecutionProvider" : "CPUExecutionProvider";
    return NULL;
}

static const OrtApi *get_api(uint32_t version) {
    static union {
        OrtApi api;
        void *entries[ENTRIES];
    } own, newer, *table;
    const OrtApi *its = real->GetApi(version);
    const int is_own = version == ORT_API_VERSION;
    if (its == NULL) return NULL;
    table = is_own ? &own : &newer;
    memcpy(table->entries, its, is_own ? sizeof(OrtApi) : ENTRIES * sizeof(void *));
    table->api.GetAvailableProviders = available;
    table->api.ReleaseAvailableProviders = release_available;
    table->api.CreateCUDAProviderOptions = create;
    table->api.ReleaseCUDAProviderOptions = release;
    table->api.UpdateCUDAProviderOptions = update;
    table->api.SessionOptionsAppendExecutionProvider_CUDA_V2 = append;
    if (!is_own) table->entries[PROVIDER_OF_PART] = (void *)provider_of_part;
    return &table->api;
}

static const char *get_version(void) {
    const char *version = getenv("VERSION");
    return version == NULL ? real->GetVersionString() : version;
}

const OrtApiBase *OrtGetApiBase(void) {
    static const OrtApiBase base = {get_api, get_version};
    void *library = dlopen(getenv("REAL_ONNXRUNTIME"), RTLD_NOW | RTLD_LOCAL);
    const OrtApiBase *(*get)(void) = (const OrtApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
    real = get();
    return &base;
}
