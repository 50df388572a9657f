/* ONNX Runtime as a build for CUDA and TensorRT looks from outside, on a machine without a GPU: the library that
 * REAL_ONNXRUNTIME names, which runs everything on the CPU.
 *
 * The options that CUDA and TensorRT are given go to the files CUDA_OPTIONS and TENSORRT_OPTIONS, a line for each.
 * ON_GPU is how many of a graph's parts it says that the GPU runs; VERSION is the version that it says it has. The engine
 * of a graph is a file that it keeps in the folder it is given; TENSORRT_LOG gets a line for each that it builds, loads
 * or cannot read. ENGINE_NAME is what it calls one. ENGINE_OFF is what engines multiply the graph's numbers with, "nan"
 * among them. Before it builds one it runs the command BEFORE_BUILD.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to EpAssignedNode_GetOperatorType, of version 24. */
enum { ENTRIES = 413, PARTS = 407, PROVIDER_OF_PART = 408, SESSIONS = 64 };

static const OrtApiBase *real;
static const OrtApi *its;
static OrtCUDAProviderOptionsV2 *const cuda_options = (OrtCUDAProviderOptionsV2 *)&real;
static OrtTensorRTProviderOptionsV2 *const tensorrt_options = (OrtTensorRTProviderOptionsV2 *)&its;
static char engine[4096];
static const OrtSessionOptions *with_engine;
static const OrtSession *engines[SESSIONS];
static size_t engine_count;
static int asked_has_engine;

static int has_engine(const OrtSession *session) {
    size_t i;
    for (i = 0; i < engine_count; ++i) {
        if (engines[i] == session) return 1;
    }
    return 0;
}

static OrtStatusPtr available(char ***names, int *count) {
    static char *all[] = {"TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"};
    *names = all;
    *count = 3;
    return NULL;
}

static OrtStatusPtr release_available(char **names, int count) {
    (void)names, (void)count;
    return NULL;
}

static void write_options(const char *variable, const char *const *keys, const char *const *values, size_t count) {
    FILE *file = fopen(getenv(variable), "w");
    size_t i;
    for (i = 0; i < count; ++i) fprintf(file, "%s=%s\n", keys[i], values[i]);
    fclose(file);
}

static OrtStatusPtr create_cuda(OrtCUDAProviderOptionsV2 **out) {
    *out = cuda_options;
    return NULL;
}

static void release_cuda(OrtCUDAProviderOptionsV2 *ignored) { (void)ignored; }

static OrtStatusPtr update_cuda(OrtCUDAProviderOptionsV2 *ignored, const char *const *keys, const char *const *values,
                                size_t count) {
    (void)ignored;
    write_options("CUDA_OPTIONS", keys, values, count);
    return NULL;
}

/* The provider's library, which links those of NVIDIA, is loaded where it is first needed. */
static void load_provider(const char *name) {
    char path[4096];
    Dl_info info;
    dladdr((void *)load_provider, &info);
    snprintf(path, sizeof path, "%.*s/libonnxruntime_providers_%s.so",
             (int)(strrchr(info.dli_fname, '/') - info.dli_fname), info.dli_fname, name);
    dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static OrtStatusPtr append_cuda(OrtSessionOptions *session, const OrtCUDAProviderOptionsV2 *ignored) {
    (void)session, (void)ignored;
    load_provider("cuda");
    return NULL;
}

static OrtStatusPtr create_tensorrt(OrtTensorRTProviderOptionsV2 **out) {
    load_provider("tensorrt");
    *out = tensorrt_options;
    return NULL;
}

static void release_tensorrt(OrtTensorRTProviderOptionsV2 *ignored) { (void)ignored; }

static OrtStatusPtr update_tensorrt(OrtTensorRTProviderOptionsV2 *ignored, const char *const *keys,
                                    const char *const *values, size_t count) {
    size_t i;
    (void)ignored;
    write_options("TENSORRT_OPTIONS", keys, values, count);
    engine[0] = '\0';
    for (i = 0; i < count; ++i) {
        if (strcmp(keys[i], "trt_engine_cache_path") == 0) {
            snprintf(engine, sizeof engine, "%s/%s.engine", values[i], getenv("ENGINE_NAME"));
        }
    }
    return NULL;
}

static OrtStatusPtr append_tensorrt(OrtSessionOptions *session, const OrtTensorRTProviderOptionsV2 *ignored) {
    (void)ignored;
    with_engine = session;
    return NULL;
}

static void log_line(const char *what) {
    FILE *file = fopen(getenv("TENSORRT_LOG"), "a");
    fprintf(file, "%s\n", what);
    fclose(file);
}

/* Load the engine that is to be kept in a folder, or build it into that. */
static OrtStatusPtr take_engine(void) {
    char content[32] = "";
    FILE *file;
    if (engine[0] == '\0') return NULL;
    file = fopen(engine, "r");
    if (file != NULL) {
        char *read = fgets(content, sizeof content, file);
        fclose(file);
        if (read == NULL || strcmp(content, "an engine") != 0) {
            log_line("cannot read");
            return its->CreateStatus(ORT_EP_FAIL, "TensorRT EP could not deserialize engine from cache: one.engine");
        }
        log_line("load");
        return NULL;
    }
    if (getenv("BEFORE_BUILD") != NULL && system(getenv("BEFORE_BUILD")) != 0) abort();
    file = fopen(engine, "w");
    fputs("an engine", file);
    fclose(file);
    log_line("build");
    return NULL;
}

static OrtStatusPtr create_session(const OrtEnv *environment, const char *path, const OrtSessionOptions *options,
                                   OrtSession **out) {
    OrtStatusPtr status = its->CreateSession(environment, path, options, out);
    if (status == NULL && options == with_engine) {
        log_line("load finished");
        engines[engine_count++ % SESSIONS] = *out;
    }
    return status;
}

static OrtStatusPtr create_session_from_array(const OrtEnv *environment, const void *model, size_t size,
                                              const OrtSessionOptions *options, OrtSession **out) {
    OrtStatusPtr status = NULL;
    if (options == with_engine) status = take_engine();
    if (status == NULL) status = its->CreateSessionFromArray(environment, model, size, options, out);
    if (status == NULL && options == with_engine) engines[engine_count++ % SESSIONS] = *out;
    return status;
}

/* The memory of what is released may be another one's. */
static void release_session_options(OrtSessionOptions *options) {
    if (options == with_engine) with_engine = NULL;
    its->ReleaseSessionOptions(options);
}

static void release_session(OrtSession *session) {
    size_t i;
    for (i = 0; i < engine_count; ++i) {
        if (engines[i] == session) engines[i] = NULL;
    }
    its->ReleaseSession(session);
}

static OrtStatusPtr run(OrtSession *session, const OrtRunOptions *options, const char *const *inputs,
                        const OrtValue *const *given, size_t input_count, const char *const *outputs,
                        size_t output_count, OrtValue **results) {
    OrtStatusPtr status =
        its->Run(session, options, inputs, given, input_count, outputs, output_count, results);
    OrtTensorTypeAndShapeInfo *info;
    size_t count;
    size_t i;
    float *numbers;
    if (status != NULL || getenv("ENGINE_OFF") == NULL || !has_engine(session)) return status;
    its->GetTensorTypeAndShape(results[0], &info);
    its->GetTensorShapeElementCount(info, &count);
    its->ReleaseTensorTypeAndShapeInfo(info);
    its->GetTensorMutableData(results[0], (void **)&numbers);
    for (i = 0; i < count; ++i) numbers[i] *= strtof(getenv("ENGINE_OFF"), NULL);
    return NULL;
}

static OrtStatusPtr parts_of(const OrtSession *session, const void *parts, size_t *count) {
    OrtStatusPtr (*of)(const OrtSession *, const void *, size_t *) =
        (OrtStatusPtr(*)(const OrtSession *, const void *, size_t *))((void *const *)real->GetApi(24))[PARTS];
    asked_has_engine = has_engine(session);
    return of(session, parts, count);
}

static OrtStatusPtr provider_of_part(const void *part, const char **name) {
    static long asked = 0;
    (void)part;
    *name = asked++ >= atol(getenv("ON_GPU")) ? "CPUExecutionProvider"
            : asked_has_engine                ? "TensorrtExecutionProvider"
                                              : "CUDAExecutionProvider";
    return NULL;
}

static const OrtApi *get_api(uint32_t version) {
    static union {
        OrtApi api;
        void *entries[ENTRIES];
    } own, newer, *table;
    const OrtApi *original = real->GetApi(version);
    const int is_own = version == ORT_API_VERSION;
    if (original == NULL) return NULL;
    if (is_own) its = original;
    table = is_own ? &own : &newer;
    memcpy(table->entries, original, is_own ? sizeof(OrtApi) : ENTRIES * sizeof(void *));
    table->api.GetAvailableProviders = available;
    table->api.ReleaseAvailableProviders = release_available;
    table->api.CreateCUDAProviderOptions = create_cuda;
    table->api.ReleaseCUDAProviderOptions = release_cuda;
    table->api.UpdateCUDAProviderOptions = update_cuda;
    table->api.SessionOptionsAppendExecutionProvider_CUDA_V2 = append_cuda;
    table->api.CreateTensorRTProviderOptions = create_tensorrt;
    table->api.ReleaseTensorRTProviderOptions = release_tensorrt;
    table->api.UpdateTensorRTProviderOptions = update_tensorrt;
    table->api.SessionOptionsAppendExecutionProvider_TensorRT_V2 = append_tensorrt;
    table->api.CreateSession = create_session;
    table->api.CreateSessionFromArray = create_session_from_array;
    table->api.ReleaseSessionOptions = release_session_options;
    table->api.ReleaseSession = release_session;
    table->api.Run = run;
    if (!is_own) {
        table->entries[PARTS] = (void *)parts_of;
        table->entries[PROVIDER_OF_PART] = (void *)provider_of_part;
    }
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
