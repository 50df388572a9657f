/* Run a bundle of dcae-export: pictures from labels and seeds, latents from pictures, and back.
 *
 * No function throws, prints or ends the process, and there is no state outside of handles. Text is UTF-8. Functions
 * that may fail return a status, and the handle keeps what went wrong as one line, for each thread its own.
 *
 * Threads: a handle may be used from several; its calls run one after the other. dcae_cancel may be called from any
 * thread at any time before dcae_close, and from a progress callback.
 */
#ifndef DCAE_DCAE_H
#define DCAE_DCAE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DCAE_API __attribute__((visibility("default")))
#else
#define DCAE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A bundle that was opened. */
typedef struct dcae_bundle dcae_bundle;

/* The numbers are the exit statuses of dcae and dcae-run. */
typedef enum dcae_status {
    DCAE_OK = 0,
    DCAE_FAULT = 1,     /* of this library */
    DCAE_USAGE = 2,     /* an argument out of range, or one that the bundle does not take */
    DCAE_INPUT = 3,     /* a file that is missing, incomplete or malformed */
    DCAE_REFUSED = 4,   /* a hash, path, link or operator that is not safe to use */
    DCAE_PROVIDER = 5,  /* the provider that was asked for, or any ONNX Runtime, is not there */
    DCAE_RESOURCE = 6,  /* memory or disk */
    DCAE_PARITY = 7,    /* an output that is not finite, or too far from its reference */
    DCAE_CANCELLED = 130
} dcae_status;

/* How to open. Zero in any field but `size` is its default. Of a struct from a later header, what the library does not
 * know has to be zero. */
typedef struct dcae_open_options {
    size_t size;             /* sizeof(dcae_open_options) */
    const char *onnxruntime; /* ONNX Runtime's library; NULL: DCAE_ONNXRUNTIME, then the usual places */
    const char *provider;    /* "cpu", "cuda" or "tensorrt", nothing else is used in its place; NULL: cpu */
    int32_t threads;         /* inside one operator; 0: one for each physical core */
    int32_t keep_sessions;   /* not 0: what generates stays loaded between calls; see dcae_release */
    int32_t skip_hashes;     /* not 0: the files' hashes are not checked; all else is */
    int64_t memory_limit;    /* bytes that a run may take, but for an engine's own memory; 0: what the machine has left,
                              * any on a GPU */
    const char *engine_precision; /* tensorrt: "fp32", "fp16", "bf16" or "graph"; NULL: fp32 */
    const char *engine_cache;     /* tensorrt: the folder that engines are kept in; NULL: the user's cache */
} dcae_open_options;

#define DCAE_OPEN_OPTIONS_INIT {sizeof(dcae_open_options), NULL, NULL, 0, 0, 0, 0, NULL, NULL}

/* Pictures: (count, height, width, 3), RGB, 0 to 255. Of results, `data` is freed by dcae_images_free. */
typedef struct dcae_images {
    size_t count;
    size_t height;
    size_t width;
    uint8_t *data;
} dcae_images;

/* Latents: (count, channels, height, width). Of results, `data` is freed by dcae_latents_free. */
typedef struct dcae_latents {
    size_t count;
    size_t channels;
    size_t height;
    size_t width;
    float *data;
} dcae_latents;

/* Called after each evaluation of the network, in the thread of the call, with how many are done and how many there
 * are. Not 0 ends the call with DCAE_CANCELLED. It may call dcae_cancel, and nothing else on its handle. */
typedef int (*dcae_progress)(void *user, size_t done, size_t count);

/* What to generate. Zero in any field but `size` and `label_count` is its default. */
typedef struct dcae_request {
    size_t size;               /* sizeof(dcae_request) */
    const char *const *labels; /* numbers or names, one for each picture; NULL among them: without a label */
    size_t label_count;        /* how many pictures; `labels` may be NULL: all without */
    uint64_t seed;             /* picture i draws from seed + i, modulo 2^64 */
    const char *sampler;       /* as in "dpmpp-2m:20"; NULL: the bundle's default */
    const double *guidance;    /* the guidance weight, 0 or more; NULL: the bundle's default */
    size_t height;             /* in pixels; 0 with `width` 0: the bundle's default */
    size_t width;
    const dcae_latents *latents; /* the noise to begin with, in diffusion scale; NULL: the seed's */
    const dcae_images *image;    /* one picture to vary, of the size of the request; NULL: none */
    double strength;             /* with `image`: the share of the steps that are run, above 0; 0 is 0.6 */
    dcae_progress progress;
    void *user;                  /* handed to `progress` */
} dcae_request;

#define DCAE_REQUEST_INIT {sizeof(dcae_request), NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL, 0.0, NULL, NULL}

/* What to do with a picture whose sides are no multiples of the bundle's factor. */
typedef enum dcae_fit {
    DCAE_FIT_PAD = 0, /* repeat the last row and column, crop the result */
    DCAE_FIT_CROP = 1,
    DCAE_FIT_RESIZE = 2
} dcae_fit;

DCAE_API const char *dcae_version(void);

/* Open the bundle in a folder, reading no file of it but the manifest; `options` may be NULL. `*bundle` is a handle
 * even where this fails, for dcae_last_error and dcae_close; NULL where not even that could be made. */
DCAE_API dcae_status dcae_open(const char *path, const dcae_open_options *options, dcae_bundle **bundle);

/* Cancel what is running, wait for it to end, and free the handle; NULL is left alone. No call may begin afterwards. */
DCAE_API void dcae_close(dcae_bundle *bundle);

/* One line about the calling thread's last call on the handle, "" where that did not fail or there was none. It stays
 * until the same thread's next call on the handle, or dcae_close. */
DCAE_API const char *dcae_last_error(const dcae_bundle *bundle);

/* End the handle's calls in progress with DCAE_CANCELLED, inside of a graph's run too; only an engine of TensorRT is
 * built to its end first. Later calls run as ever. */
DCAE_API void dcae_cancel(dcae_bundle *bundle);

/* Free the loaded graphs; the next call loads them again. dcae_encode, dcae_decode and dcae_reconstruct leave theirs
 * loaded. dcae_generate, dcae_sample and dcae_decode_sampled free all graphs when they are done, but with
 * keep_sessions, where the memory holds transformer and decoder at once: that is faster. */
DCAE_API dcae_status dcae_release(dcae_bundle *bundle);

/* The manifest as JSON, as long as the handle lives; NULL where dcae_open failed. */
DCAE_API const char *dcae_manifest(const dcae_bundle *bundle);

/* Load ONNX Runtime if that was not done, and say which file that is and its version; as long as the handle lives. */
DCAE_API dcae_status dcae_runtime(dcae_bundle *bundle, const char **description);

/* The size in pixels of a picture where nothing else is asked for. */
DCAE_API dcae_status dcae_default_size(dcae_bundle *bundle, size_t *height, size_t *width);

/* How often a request evaluates the network, and calls `progress`. */
DCAE_API dcae_status dcae_evaluations(dcae_bundle *bundle, const dcae_request *request, size_t *count);

/* One picture for each label. */
DCAE_API dcae_status dcae_generate(dcae_bundle *bundle, const dcae_request *request, dcae_images *images);

/* dcae_generate without the decoder: latents in diffusion scale, (z - shift) * scaling factor. */
DCAE_API dcae_status dcae_sample(dcae_bundle *bundle, const dcae_request *request, dcae_latents *latents);

/* The pictures of what dcae_sample gives. */
DCAE_API dcae_status dcae_decode_sampled(dcae_bundle *bundle, const dcae_latents *latents, dcae_images *images);

/* Raw latents of pictures whose sides are multiples of the bundle's factor, and the pictures of raw latents. */
DCAE_API dcae_status dcae_encode(dcae_bundle *bundle, const dcae_images *images, dcae_latents *latents);
DCAE_API dcae_status dcae_decode(dcae_bundle *bundle, const dcae_latents *latents, dcae_images *images);

/* Encode and decode one picture of any size. */
DCAE_API dcae_status dcae_reconstruct(dcae_bundle *bundle, const dcae_images *image, dcae_fit fit, dcae_images *back);

/* Check everything of the bundle's files, the hashes included. */
DCAE_API dcae_status dcae_verify(dcae_bundle *bundle);

/* Run the bundle's golden arrays; DCAE_PARITY where one is missed. `measured`, which may be NULL, is their number. */
DCAE_API dcae_status dcae_parity(dcae_bundle *bundle, size_t *measured);

/* Read a PNG, JPEG or WebP as one upright picture; write picture `index` as .png, .jpg or .webp (lossless), whole or
 * not at all, `replace` not 0: in place of an existing file. The handle is for the error only. */
DCAE_API dcae_status dcae_read_picture(dcae_bundle *bundle, const char *path, dcae_images *image);
DCAE_API dcae_status dcae_write_picture(dcae_bundle *bundle, const char *path, const dcae_images *images, size_t index,
                                        int replace);

/* The first `count` standard normals of one stream of a seed. */
DCAE_API void dcae_noise(uint64_t seed, uint64_t stream, size_t count, float *numbers);

/* Free a result's data and empty it. */
DCAE_API void dcae_images_free(dcae_images *images);
DCAE_API void dcae_latents_free(dcae_latents *latents);

#ifdef __cplusplus
}
#endif

#endif
