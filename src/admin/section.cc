#include "admin/section.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/units.h"

namespace peerlane::admin {
namespace {

Finding at(const toml::source_region& source, Problem problem, Severity severity) {
  return {severity, source.begin.line, source.begin.column, std::move(problem)};
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::none:
      return "nothing";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a number";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
  }
  return "something else";
}

/// How many letters must be put in, taken out or changed to make one word of the other (Levenshtein).
std::size_t distance(std::string_view one, std::string_view other) {
  std::vector<std::size_t> row(other.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < one.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < other.size(); ++j) {
      const std::size_t changed = diagonal + (one[i] == other[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string most_similar(std::string_view word, const std::vector<std::string>& words) {
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string& candidate : words) {
    const std::size_t d = distance(word, candidate);
    if (d >= best_distance) continue;
    best = &candidate;
    best_distance = d;
  }
  return best == nullptr ? std::string() : *best;
}

const toml::node* Section::find(std::string_view key) {
  if (std::ranges::find(asked_, key) == asked_.end()) asked_.emplace_back(key);
  return table_.get(key);
}

void Section::report(const toml::node& node, Problem problem, Severity severity) {
  findings_.push_back(at(node.source(), std::move(problem), severity));
}

void Section::report(std::string_view key, Problem problem, Severity severity) {
  const toml::node* const node = table_.get(key);
  report(node == nullptr ? static_cast<const toml::node&>(table_) : *node, std::move(problem), severity);
}

void Section::wrong_type(std::string_view key, const toml::node& node, std::string_view wanted,
                         std::string_view example) {
  report(node, {fmt::format("{} of {} must be {}, not {}", key, title_, wanted, type_name(node)),
                fmt::format("write for example {} = {}", key, example)});
}

std::optional<std::string> Section::text(std::string_view key) {
  const toml::node* const node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* const value = node->as_string()) return value->get();
  wrong_type(key, *node, "a text", "\"...\"");
  return std::nullopt;
}

std::optional<bool> Section::flag(std::string_view key) {
  const toml::node* const node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* const value = node->as_boolean()) return value->get();
  wrong_type(key, *node, "true or false", "true");
  return std::nullopt;
}

std::optional<std::int64_t> Section::in_range(std::string_view key, const toml::node& node, std::int64_t least,
                                              std::int64_t most) {
  const auto* const value = node.as_integer();
  if (value == nullptr) {
    wrong_type(key, node, "a number", fmt::to_string(least));
    return std::nullopt;
  }
  if (value->get() >= least && value->get() <= most) return value->get();
  report(node, {fmt::format("{} of {} cannot be {}", key, title_, value->get()),
                fmt::format("give a number from {} to {}", least, most)});
  return std::nullopt;
}

std::optional<std::int64_t> Section::number(std::string_view key, std::int64_t least, std::int64_t most) {
  const toml::node* const node = find(key);
  return node == nullptr ? std::nullopt : in_range(key, *node, least, most);
}

std::optional<double> Section::real(std::string_view key, double least, double most) {
  const toml::node* const node = find(key);
  if (node == nullptr) return std::nullopt;
  const std::optional<double> value = node->value<double>();
  if (!value) {
    wrong_type(key, *node, "a number", fmt::format("{}", most));
    return std::nullopt;
  }
  if (*value >= least && *value <= most) return value;
  report(*node, {fmt::format("{} of {} cannot be {}", key, title_, *value),
                 fmt::format("give a number from {} to {}", least, most)});
  return std::nullopt;
}

std::optional<std::uint64_t> Section::size(std::string_view key, std::uint64_t least, std::uint64_t most) {
  const auto value = text(key);
  if (!value) return std::nullopt;
  const auto bytes = parse_size(*value);
  if (bytes && *bytes >= least && *bytes <= most) return *bytes;
  report(key, {bytes ? fmt::format("{} of {} cannot be {}", key, title_, format_size(*bytes))
                     : fmt::format("{} of {}: {}", key, title_, bytes.error().text()),
               fmt::format("give a size from {} to {}, for example {} = \"{}\"", format_size(least), format_size(most),
                           key, format_size(std::max(least, most < (1u << 20) ? most : 1u << 20)))});
  return std::nullopt;
}

std::optional<std::size_t> Section::choice(std::string_view key, const std::vector<std::string_view>& choices) {
  const auto value = text(key);
  if (!value) return std::nullopt;
  const auto found = std::ranges::find(choices, *value);
  if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
  report(key, {fmt::format("{} of {} cannot be \"{}\"", key, title_, *value),
               fmt::format("give one of: \"{}\"", fmt::join(choices, "\", \""))});
  return std::nullopt;
}

const toml::table* Section::table(std::string_view key) {
  const toml::node* const node = find(key);
  if (node == nullptr) return nullptr;
  if (const auto* const value = node->as_table()) return value;
  wrong_type(key, *node, "a table", "{ ... }");
  return nullptr;
}

std::vector<const toml::table*> Section::tables(std::string_view key) {
  std::vector<const toml::table*> found;
  const toml::node* const node = find(key);
  if (node == nullptr) return found;
  const toml::array* const array = node->as_array();
  if (array == nullptr) {
    report(*node, {fmt::format("{} of {} must be a list of tables, not {}", key, title_, type_name(*node)),
                   fmt::format("write {} = [{{ ... }}], or a header with double brackets", key)});
    return found;
  }
  for (const toml::node& element : *array) {
    if (const auto* const value = element.as_table()) {
      found.push_back(value);
    } else {
      report(element, {fmt::format("{} of {} must hold tables, not {}", key, title_, type_name(element)),
                       fmt::format("write {} = [{{ ... }}]", key)});
    }
  }
  return found;
}

std::vector<Section::TextElement> Section::texts(std::string_view key) {
  std::vector<TextElement> found;
  const toml::node* const node = find(key);
  if (node == nullptr) return found;
  const toml::array* const array = node->as_array();
  if (array == nullptr) {
    wrong_type(key, *node, "a list of texts", "[\"...\"]");
    return found;
  }
  for (const toml::node& element : *array) {
    if (const auto* const value = element.as_string()) {
      found.push_back({value->get(), &element});
    } else {
      wrong_type(key, element, "a list of texts", "[\"...\"]");
    }
  }
  return found;
}

std::vector<Section::NumberElement> Section::numbers(std::string_view key, std::int64_t least, std::int64_t most) {
  std::vector<NumberElement> found;
  const toml::node* const node = find(key);
  if (node == nullptr) return found;
  const toml::array* const array = node->as_array();
  if (array == nullptr) {
    wrong_type(key, *node, "a list of numbers", fmt::format("[{}]", least));
    return found;
  }
  for (const toml::node& element : *array) {
    if (const auto value = in_range(key, element, least, most)) found.push_back({*value, &element});
  }
  return found;
}

void Section::finish() {
  for (const auto& [key, node] : table_) {
    if (std::ranges::find(asked_, key.str()) != asked_.end()) continue;
    const std::string similar = most_similar(key.str(), asked_);
    std::vector<std::string> sorted = asked_;
    std::ranges::sort(sorted);
    const std::string remedy = similar.empty() ? fmt::format("the keys here are: {}", fmt::join(sorted, ", "))
                                               : fmt::format("did you mean {}?", similar);
    findings_.push_back(
        at(key.source(), {fmt::format("{} has no key \"{}\"", title_, key.str()), remedy}, Severity::kError));
  }
}

}  // namespace peerlane::admin
