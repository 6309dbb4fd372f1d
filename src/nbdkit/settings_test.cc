#include "nbdkit/settings.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

namespace peerlane::nbdkit {
namespace {

constexpr const char* kUrl = "iscsi://127.0.0.1:1/iqn.2026-11.dev.peerlane:absent/0";

TEST(NbdkitSettings, AreTaken) {
  Settings settings;
  for (const auto& [key, value] : {std::pair{"url", kUrl},
                                   {"check", "off"},
                                   {"queue-depth", "1024"},
                                   {"replacement-timeout", "7"},
                                   {"chap-user", "alice"},
                                   {"chap-secret", "alice's own secret"},
                                   {"target-chap-user", "it"},
                                   {"target-chap-secret", "the target's secret"},
                                   {"initiator-name", "iqn.2026-11.org.Example:me"}}) {
    EXPECT_TRUE(settings.set(key, value)) << key;
  }
  EXPECT_TRUE(settings.complete());
  EXPECT_FALSE(settings.check);
  const initiator::SessionOptions& session = settings.options.session;
  EXPECT_EQ(std::chrono::seconds(7), session.replacement_timeout);
  EXPECT_EQ(1024u, session.connection.depth);
  EXPECT_EQ("alice's own secret", session.login.account->secret);
  EXPECT_EQ("it", session.login.target_account->name);
  EXPECT_EQ("iqn.2026-11.org.example:me", session.login.initiator_name);
}

TEST(NbdkitSettings, RefusesWhatItDoesNotKnow) {
  Settings settings;
  for (const auto& [key, value] : {std::pair{"colour", "blue"},
                                   {"check", ""},
                                   {"queue-depth", "0"},
                                   {"queue-depth", "1.5"},
                                   {"queue-depth", "2x"},
                                   {"queue-depth", "-1"},
                                   {"queue-depth", ""},
                                   {"queue-depth", "1025"},
                                   {"queue-depth", "99999999999"},
                                   {"replacement-timeout", "0"},
                                   {"initiator-name", "not a name"}}) {
    const auto set = settings.set(key, value);
    ASSERT_FALSE(set) << key << "=" << value;
    EXPECT_EQ(EINVAL, set.error().code);
    EXPECT_FALSE(set.error().message.empty());
  }
}

TEST(NbdkitSettings, RefusesWhatNamesNoDisk) {
  for (const char* const url : {"", "http://example.org", "iscsi://127.0.0.1", "iscsi://127.0.0.1/iqn.2026-11.x:y/z"}) {
    Settings settings;
    ASSERT_TRUE(settings.set("url", url));
    EXPECT_FALSE(settings.complete()) << url;
  }
}

TEST(NbdkitSettings, RefusesHalfAnAccount) {
  const auto complete = [](auto... pairs) {
    Settings settings;
    EXPECT_TRUE(settings.set("url", kUrl));
    (static_cast<void>(settings.set(pairs.first, pairs.second)), ...);
    return settings.complete().has_value();
  };
  using Pair = std::pair<const char*, const char*>;
  EXPECT_FALSE(complete(Pair{"chap-user", "alice"}));
  EXPECT_FALSE(complete(Pair{"chap-secret", "alice's own secret"}));
  EXPECT_FALSE(complete(Pair{"chap-user", "alice"}, Pair{"chap-secret", "short"}));
  EXPECT_FALSE(complete(Pair{"target-chap-user", "it"}, Pair{"target-chap-secret", "the target's secret"}));
  EXPECT_TRUE(complete(Pair{"chap-user", "alice"}, Pair{"chap-secret", "alice's own secret"}));
}

}  // namespace
}  // namespace peerlane::nbdkit
