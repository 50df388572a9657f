#include "picture_options.hpp"

#include "runtime_options.hpp"
#include "strings.hpp"

namespace dcae::program {

using core::Fit;

std::vector<Option> picture_options() {
    return with_run({{"--fit", "pad|crop|resize", "What to do with a size that is no multiple of the bundle's factor.  [default: pad]"},
                     {"--alpha", "white|black", "The background of transparent pictures.  [default: white]"}});
}

Fit fit_of(const Arguments& arguments) {
    const auto name = arguments.value_or("--fit", "pad");
    if (name == "pad") return Fit::pad;
    if (name == "crop") return Fit::crop;
    if (name == "resize") return Fit::resize;
    arguments.refuse("Invalid value for '--fit': " + core::in_quotes(name, 80) + " is not one of 'pad', 'crop', 'resize'");
}

core::Background background_of(const Arguments& arguments) {
    const auto name = arguments.value_or("--alpha", "white");
    if (name == "white") return core::Background::white;
    if (name == "black") return core::Background::black;
    arguments.refuse("Invalid value for '--alpha': " + core::in_quotes(name, 80) + " is not one of 'white', 'black'");
}

}  // namespace dcae::program
