#include "labels.hpp"

#include <algorithm>

#include "error.hpp"
#include "strings.hpp"

namespace dcae::core {
namespace {

bool is_number(const std::string& label) {
    const auto digits = label.substr(label.rfind('-', 0) == 0 ? 1 : 0);
    return !digits.empty() && digits.size() <= 10 && digits.find_first_not_of("0123456789") == std::string::npos;
}

std::int64_t by_name(const std::string& name, const std::optional<std::vector<std::string>>& class_names) {
    if (!class_names) {
        fail(Status::usage, "label ", in_quotes(name), ": this bundle names no classes; give the label's number");
    }
    const auto wanted = folded(name);
    std::vector<std::string> numbers;
    std::vector<std::string> words;
    for (std::size_t number = 0; number < class_names->size(); ++number) {
        const auto& listed = (*class_names)[number];
        const auto of_name = words_of(listed);
        words.insert(words.end(), of_name.begin(), of_name.end());
        if (folded(listed) == wanted || std::find(of_name.begin(), of_name.end(), wanted) != of_name.end()) {
            numbers.push_back(std::to_string(number));
        }
    }
    if (numbers.size() > 1) {
        fail(Status::usage, "label ", in_quotes(name), ": the name of ", joined(numbers, " and "),
             "; give the label's number");
    }
    if (numbers.size() == 1) return std::stoll(numbers.front());
    const auto near = similar_words(wanted, words);
    fail(Status::usage, "label ", in_quotes(name), ": no such class; ",
         near.empty() ? "dcae inspect --json lists them" : "did you mean " + joined(near, ", ") + "?");
}

std::int64_t number_of(const Label& label, const Conditioning& conditioning) {
    if (!label) return *conditioning.null_label;
    if (!is_number(*label)) return by_name(*label, conditioning.class_names);
    const std::int64_t number = std::stoll(*label);
    if (number < 0 || number >= *conditioning.num_classes) {
        fail(Status::usage, "label ", number, ": labels are 0 to ", *conditioning.num_classes - 1);
    }
    return number;
}

}  // namespace

std::optional<std::vector<std::int64_t>> label_numbers(const std::vector<Label>& labels,
                                                       const Conditioning& conditioning) {
    if (labels.empty()) fail(Status::usage, "no label: nothing to generate");
    if (!conditioning.num_classes) {
        if (std::any_of(labels.begin(), labels.end(), [](const Label& label) { return label.has_value(); })) {
            fail(Status::usage, "this model has no labels; say how many pictures with --count");
        }
        return std::nullopt;
    }
    std::vector<std::int64_t> numbers;
    for (const auto& label : labels) numbers.push_back(number_of(label, conditioning));
    return numbers;
}

}  // namespace dcae::core
