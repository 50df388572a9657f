/* The C interface from C, without a bundle: what may be called in which order, and what errors say. */
#include <dcae/dcae.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

static void expect(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "not so: %s\n", what);
        ++failures;
    }
}

static void a_folder_that_is_not_there_is_an_error_with_a_handle(void) {
    dcae_bundle *bundle = NULL;
    dcae_images images = {0, 0, 0, NULL};
    dcae_request request = DCAE_REQUEST_INIT;
    expect(dcae_open("/no/such/folder", NULL, &bundle) == DCAE_INPUT, "a missing folder is DCAE_INPUT");
    expect(bundle != NULL, "a failed open gives a handle");
    expect(strstr(dcae_last_error(bundle), "/no/such/folder: no such folder") != NULL, "the error names the folder");
    expect(dcae_manifest(bundle) == NULL, "there is no manifest");
    expect(dcae_generate(bundle, &request, &images) == DCAE_USAGE, "nothing runs on it");
    expect(images.data == NULL, "a failed call leaves its result alone");
    dcae_cancel(bundle);
    dcae_close(bundle);
}

static void options_say_their_size(void) {
    dcae_bundle *bundle = NULL;
    dcae_open_options options = DCAE_OPEN_OPTIONS_INIT;
    options.size = 1;
    expect(dcae_open("/no/such/folder", &options, &bundle) == DCAE_USAGE, "a size that cannot be is DCAE_USAGE");
    dcae_close(bundle);
    options.size = sizeof(size_t) + sizeof(char *);
    options.provider = "none of these";
    expect(dcae_open("/no/such/folder", &options, &bundle) == DCAE_INPUT, "what lies behind the size is not read");
    dcae_close(bundle);
    options.size = sizeof options;
    expect(dcae_open("/no/such/folder", &options, &bundle) == DCAE_USAGE, "a provider has a known name");
    dcae_close(bundle);
    options.provider = "tensorrt";
    options.engine_precision = "fp8";
    expect(dcae_open("/no/such/folder", &options, &bundle) == DCAE_USAGE, "a precision of engines has a known name");
    dcae_close(bundle);
    options.provider = "cuda";
    options.engine_precision = "fp16";
    expect(dcae_open("/no/such/folder", &options, &bundle) == DCAE_USAGE, "engines are those of tensorrt");
    dcae_close(bundle);
}

static void an_option_of_a_later_version_is_never_lost(void) {
    struct {
        dcae_open_options known;
        int64_t later;
    } options = {DCAE_OPEN_OPTIONS_INIT, 0};
    dcae_bundle *bundle = NULL;
    options.known.size = sizeof options;
    expect(dcae_open("/no/such/folder", &options.known, &bundle) == DCAE_INPUT, "a later option may be left out");
    dcae_close(bundle);
    options.later = 1;
    expect(dcae_open("/no/such/folder", &options.known, &bundle) == DCAE_USAGE, "a later option is DCAE_USAGE");
    expect(strstr(dcae_last_error(bundle), "does not know") != NULL, "the error says that it is not known");
    dcae_close(bundle);
}

static void null_is_an_error_or_nothing(void) {
    size_t size = 0;
    expect(dcae_open("/", NULL, NULL) == DCAE_USAGE, "open needs a place for its handle");
    expect(dcae_default_size(NULL, &size, &size) == DCAE_USAGE, "a call needs a handle");
    expect(strcmp(dcae_last_error(NULL), "") == 0, "no handle has no error");
    dcae_cancel(NULL);
    dcae_close(NULL);
    dcae_images_free(NULL);
    dcae_latents_free(NULL);
}

static void noise_is_that_of_the_format(void) {
    float numbers[5];
    float first[2];
    dcae_noise(7, 3, 5, numbers);
    dcae_noise(7, 3, 2, first);
    expect(memcmp(numbers, first, sizeof first) == 0, "fewer numbers are a prefix of more");
}

int main(void) {
    a_folder_that_is_not_there_is_an_error_with_a_handle();
    options_say_their_size();
    an_option_of_a_later_version_is_never_lost();
    null_is_an_error_or_nothing();
    noise_is_that_of_the_format();
    if (failures == 0) printf("all as expected\n");
    return failures != 0;
}
