#include "server/access/certificate_name.h"

#include <gtest/gtest.h>

#include <string>

namespace hookgate {
namespace {

TEST(CertificateNameTest, KindIsThatOfTheForm) {
  const struct {
    const char* text;
    const char* parsed;
  } cases[] = {
      {"worker.internal", "DNS:worker.internal"},
      {"worker", "DNS:worker"},
      {"_x.worker-1", "DNS:_x.worker-1"},
      {"spiffe://example/worker", "URI:spiffe://example/worker"},
      {"spiffe://user@example/worker", "URI:spiffe://user@example/worker"},
      {"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
       "URI:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
      {"https://worker.internal", "URI:https://worker.internal"},
      {"ops@worker.internal", "email:ops@worker.internal"},
      {"10.0.0.1", "IP:10.0.0.1"},
      {"::1", "IP:::1"},
      {"2001:DB8:0:0::1", "IP:2001:db8::1"},
  };
  for (const auto& c : cases) {
    const auto name = ParseCertificateName(c.text);
    ASSERT_TRUE(name.ok()) << c.text << " " << name.status();
    EXPECT_EQ(name->ToString(), c.parsed);
  }
}

TEST(CertificateNameTest, WhatIsNoNameIsRefused) {
  for (const char* text :
       {"", " ", "worker internal", "worker\n", "*.internal", "spiffe://*/x", "w\xc3\xb6rker",
        "worker/internal", ":x", "DNS:worker", "URI:spiffe://x", "10.0.0.0/8"}) {
    EXPECT_FALSE(ParseCertificateName(text).ok()) << text;
  }
}

}  // namespace
}  // namespace hookgate
