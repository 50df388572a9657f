/* Generate one picture: consumer BUNDLE LABEL PICTURE. */
#include <dcae/dcae.h>
#include <stdio.h>

static int count_step(void *user, size_t done, size_t count) {
    *(size_t *)user = done;
    return done > count;
}

int main(int argc, char **argv) {
    dcae_open_options options = DCAE_OPEN_OPTIONS_INIT;
    dcae_request request = DCAE_REQUEST_INIT;
    dcae_images pictures = {0, 0, 0, NULL};
    dcae_bundle *bundle = NULL;
    const char *labels[1];
    size_t steps = 0, expected = 0;
    dcae_status status;

    if (argc != 4) return 2;
    labels[0] = argv[2];
    options.threads = 1;
    request.labels = labels;
    request.label_count = 1;
    request.seed = 7;
    request.progress = count_step;
    request.user = &steps;
    status = dcae_open(argv[1], &options, &bundle);
    if (status == DCAE_OK) status = dcae_evaluations(bundle, &request, &expected);
    if (status == DCAE_OK) status = dcae_generate(bundle, &request, &pictures);
    if (status == DCAE_OK) status = dcae_write_picture(bundle, argv[3], &pictures, 0, 1);
    if (status == DCAE_OK) printf("%lu of %lu\n", (unsigned long)steps, (unsigned long)expected);
    if (status != DCAE_OK) fprintf(stderr, "consumer: %s\n", bundle == NULL ? "no memory" : dcae_last_error(bundle));
    dcae_images_free(&pictures);
    dcae_close(bundle);
    return (int)status;
}
