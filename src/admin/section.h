// A TOML table as it is read: each key is asked for once with its type and range, and what nobody asked for is a
// mistake. Included by the .cc files that read TOML and by nobody else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/finding.h"
#include "admin/toml.h"

namespace peerlane::admin {

/// Reads one table and adds what is wrong to a list. Both outlive it.
class Section {
 public:
  /// `title` names the table in messages: "[service]".
  Section(const toml::table& table, std::string title, std::vector<Finding>& findings)
      : table_(table), title_(std::move(title)), findings_(findings) {}

  /// The value of a key; nothing if it is missing or of the wrong type (which is then a finding).
  std::optional<std::string> text(std::string_view key);
  std::optional<bool> flag(std::string_view key);
  std::optional<std::int64_t> number(std::string_view key, std::int64_t least, std::int64_t most);
  /// A number that need not be whole.
  std::optional<double> real(std::string_view key, double least, double most);
  /// A size in bytes, written as a text: "256M".
  std::optional<std::uint64_t> size(std::string_view key, std::uint64_t least, std::uint64_t most);
  /// One of `choices`, as an index.
  std::optional<std::size_t> choice(std::string_view key, const std::vector<std::string_view>& choices);

  /// A table below this one.
  const toml::table* table(std::string_view key);
  /// The tables of [[key]], or of an array of inline tables.
  std::vector<const toml::table*> tables(std::string_view key);
  /// The elements of an array that are of the wanted type; the others are findings.
  struct TextElement {
    std::string text;
    const toml::node* node;
  };
  std::vector<TextElement> texts(std::string_view key);
  struct NumberElement {
    std::int64_t number;
    const toml::node* node;
  };
  std::vector<NumberElement> numbers(std::string_view key, std::int64_t least, std::int64_t most);

  bool has(std::string_view key) const { return table_.contains(key); }
  const std::string& title() const { return title_; }

  /// Adds a finding at the value of `key`, or at the table if it has none.
  void report(std::string_view key, Problem problem, Severity severity = Severity::kError);
  void report(const toml::node& node, Problem problem, Severity severity = Severity::kError);

  /// To be called last: reports the keys that nobody asked for, with the one that may have been meant.
  void finish();

 private:
  const toml::node* find(std::string_view key);
  void wrong_type(std::string_view key, const toml::node& node, std::string_view wanted, std::string_view example);
  std::optional<std::int64_t> in_range(std::string_view key, const toml::node& node, std::int64_t least,
                                       std::int64_t most);

  const toml::table& table_;
  std::string title_;
  std::vector<Finding>& findings_;
  std::vector<std::string> asked_;
};

/// The one of `words` that is most like `word`; empty if none is.
std::string most_similar(std::string_view word, const std::vector<std::string>& words);

}  // namespace peerlane::admin
