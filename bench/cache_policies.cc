// Hit ratios of the cache's policy (src/block/cache_policy.h) against LRU and FIFO, on traces made from a fixed seed.
// Prints one JSON object: trace, pages of the cache, hit ratio by policy. Unlike the other programs here this one uses
// Peerlane's code, because that is what it measures.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "block/cache_policy.h"

namespace {

constexpr std::uint64_t kSeed = 20261122;
constexpr std::uint32_t kPages = 1u << 18;  // 1 GiB
using Trace = std::vector<std::uint64_t>;

class Cache {
 public:
  virtual ~Cache() = default;
  /// Whether the page is there; it is afterwards.
  virtual bool access(std::uint64_t page) = 0;
};

class Ours final : public Cache {
 public:
  explicit Ours(std::uint32_t slots) : policy_(slots), pages_(slots), slots_(slots) {}
  bool access(std::uint64_t page) override {
    const auto found = where_.find(page);
    if (found != where_.end()) {
      policy_.touch(found->second);
      return true;
    }
    std::uint32_t slot = used_;
    if (used_ < slots_) {
      ++used_;
    } else {
      slot = *policy_.evict();
      where_.erase(pages_[slot]);
    }
    pages_[slot] = page;
    where_[page] = slot;
    std::uint64_t key = page * 0x9e3779b97f4a7c15u;
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
    policy_.insert(slot, key ^ (key >> 31));
    return false;
  }

 private:
  peerlane::block::CachePolicy policy_;
  std::vector<std::uint64_t> pages_;
  std::unordered_map<std::uint64_t, std::uint32_t> where_;
  std::uint32_t slots_;
  std::uint32_t used_ = 0;
};

/// LRU, or FIFO if a read does not move a page to the front.
class List final : public Cache {
 public:
  List(std::uint32_t slots, bool by_use) : slots_(slots), by_use_(by_use) {}
  bool access(std::uint64_t page) override {
    const auto found = where_.find(page);
    if (found != where_.end()) {
      if (by_use_) pages_.splice(pages_.begin(), pages_, found->second);
      return true;
    }
    if (pages_.size() == slots_) {
      where_.erase(pages_.back());
      pages_.pop_back();
    }
    pages_.push_front(page);
    where_[page] = pages_.begin();
    return false;
  }

 private:
  std::list<std::uint64_t> pages_;
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> where_;
  std::uint32_t slots_;
  bool by_use_;
};

/// Page ranks with the probability 1 / rank^skew.
class Zipf {
 public:
  Zipf(std::uint64_t pages, double skew) : sums_(pages) {
    double sum = 0;
    for (std::uint64_t rank = 0; rank < pages; ++rank) {
      sum += 1 / std::pow(static_cast<double>(rank + 1), skew);
      sums_[rank] = sum;
    }
  }
  std::uint64_t draw(std::mt19937_64& random) {
    const double at = std::uniform_real_distribution<double>(0, sums_.back())(random);
    return static_cast<std::uint64_t>(std::ranges::lower_bound(sums_, at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

Trace zipf(std::size_t length, double skew) {
  std::mt19937_64 random(kSeed);
  Zipf ranks(kPages, skew);
  Trace trace;
  while (trace.size() < length) trace.push_back(ranks.draw(random));
  return trace;
}

/// As many reads of pages that are never read again, in long runs between the others.
Trace zipf_and_scan(std::size_t length, double skew) {
  constexpr std::size_t kRun = 20'000;
  const Trace base = zipf(length / 2, skew);
  Trace trace;
  std::uint64_t next = kPages;
  for (std::size_t i = 0; i < base.size(); ++i) {
    trace.push_back(base[i]);
    if (i % kRun != kRun - 1) continue;
    for (std::size_t j = 0; j < kRun; ++j) trace.push_back(next++);
  }
  return trace;
}

/// Other pages are popular after each quarter.
Trace shifting_zipf(std::size_t length, double skew) {
  Trace trace = zipf(length, skew);
  for (std::size_t i = 0; i < trace.size(); ++i) trace[i] = (trace[i] + i * 4 / trace.size() * kPages / 3) % kPages;
  return trace;
}

Trace loop(std::size_t length, std::uint64_t pages) {
  Trace trace;
  for (std::size_t i = 0; i < length; ++i) trace.push_back(i % pages);
  return trace;
}

double hit_ratio(Cache& cache, const Trace& trace) {
  // The first tenth fills the cache.
  const std::size_t begin = trace.size() / 10;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const bool hit = cache.access(trace[i]);
    if (hit && i >= begin) ++hits;
  }
  return static_cast<double>(hits) / static_cast<double>(trace.size() - begin);
}

}  // namespace

int main() {
  constexpr std::size_t kReads = 3'000'000;
  const char* separator = "{";
  for (const std::uint32_t slots : {kPages / 100, kPages / 20, kPages / 5}) {
    const std::vector<std::pair<std::string, Trace>> traces = {
        {"zipf 0.9", zipf(kReads, 0.9)},
        {"zipf 0.9, half of all reads are scans", zipf_and_scan(kReads, 0.9)},
        {"zipf 0.9, other pages popular four times", shifting_zipf(kReads, 0.9)},
        {"loop over 1.1 caches", loop(kReads, slots + slots / 10)},
        {"loop over 2 caches", loop(kReads, 2ull * slots)},
    };
    for (const auto& [name, trace] : traces) {
      Ours ours(slots);
      List lru(slots, true);
      List fifo(slots, false);
      std::printf("%s\n  \"%s, %u pages\": {\"s3-fifo\": %.4f, \"lru\": %.4f, \"fifo\": %.4f}", separator, name.c_str(),
                  slots, hit_ratio(ours, trace), hit_ratio(lru, trace), hit_ratio(fifo, trace));
      separator = ",";
    }
  }
  std::printf("\n}\n");
  return 0;
}
