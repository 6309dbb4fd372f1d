#include "iscsi/name.h"

#include <string>

#include <gtest/gtest.h>

namespace peerlane::iscsi {
namespace {

TEST(Name, TakesTheFormsOfTheRfc) {
  for (const char* name :
       {"iqn.1993-08.org.debian:01:8a2d4b6c", "iqn.2001-04.com.example", "eui.02004567a425678d", "naa.52004567ba64678d",
        "naa.62004567ba64678d0123456789abcdef", "iqn.1998-01.com.vmware:esx-01",
        "iqn.2004-10.org.example:host_with_underscore", "iqn.ronnie.test", "iqn.2003-01.jp.\xe4\xbe\x8b:\xc3\xa4"}) {
    EXPECT_EQ(normalise_name(name).value_or("refused"), name);
  }
}

TEST(Name, ComparesWithoutCase) {
  EXPECT_EQ(normalise_name("IQN.1991-05.com.Microsoft:WIN-HOST").value(), "iqn.1991-05.com.microsoft:win-host");
  EXPECT_EQ(normalise_name("eui.02004567A425678D").value(), "eui.02004567a425678d");
}

TEST(Name, RefusesWhatIsNone) {
  for (const char* name :
       {"", "iqn", "iqn.", "disk", "eui.02004567a425678", "eui.02004567a425678dd", "eui.02004567a425678g", "naa.5200",
        "naa.62004567ba64678d0123456789abcde", "iqn.2004-10.org.example:a b", "iqn.2004-10.org.example:a\nb",
        "iqn.2004-10.org.example:a,b", "iqn.2004-10.org.example:a/b", "iqn.2004-10.org.example:*"}) {
    EXPECT_FALSE(normalise_name(name)) << name;
  }
}

TEST(Name, RefusesWhatIsNotUtf8) {
  for (const char* bytes : {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
                            "\xe4\xbe", "\xf0\x9f\x98"}) {
    EXPECT_FALSE(normalise_name(std::string("iqn.2004-10.org.example:") + bytes));
  }
  EXPECT_TRUE(normalise_name("iqn.2004-10.org.example:\xf0\x9f\x98\x80"));
  EXPECT_FALSE(normalise_name("iqn.2004-10.org.example:\xc2\x9b")) << "a control character";
  EXPECT_TRUE(normalise_name("iqn.2004-10.org.example:\xc2\xa0"));
}

TEST(Name, LimitsTheLength) {
  const std::string prefix = "iqn.2004-10.org.example:";
  EXPECT_TRUE(normalise_name(prefix + std::string(223 - prefix.size(), 'a')));
  EXPECT_FALSE(normalise_name(prefix + std::string(224 - prefix.size(), 'a')));
}

}  // namespace
}  // namespace peerlane::iscsi
