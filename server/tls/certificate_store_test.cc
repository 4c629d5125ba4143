#include "server/tls/certificate_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/clock.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

class CertificateStoreTest : public testing::Test {
 protected:
  CertificateStoreTest() {
    std::filesystem::create_directories(folder_);
    Write(first_);
    WriteFile(files_.client_ca, authority_.certificate());
  }

  static void WriteFile(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
  }
  void Write(const TestCertificate& pair) {
    WriteFile(files_.certificate, pair.certificate);
    WriteFile(files_.key, pair.key);
  }
  std::string ErrorOfLoading() { return std::string(LoadCertificates(files_).status().message()); }

  const std::string folder_ = FreshTestFolder();
  CertificateFiles files_ = {folder_ + "/cert.pem", folder_ + "/key.pem", folder_ + "/ca.pem"};
  const TestAuthority authority_;
  const TestCertificate first_ = authority_.Issue();
  const TestCertificate second_ = authority_.Issue();
  FakeClock clock_;
};

TEST_F(CertificateStoreTest, FilesAreReadAsTheyStand) {
  const auto loaded = LoadCertificates(files_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->certificate, first_.certificate);
  EXPECT_EQ(loaded->key, first_.key);
  EXPECT_EQ(loaded->client_ca, authority_.certificate());
  EXPECT_GT(loaded->not_after, absl::Now());
}

TEST_F(CertificateStoreTest, ErrorsNameTheFileAndWhatIsWrong) {
  WriteFile(files_.key, second_.key);
  EXPECT_THAT(ErrorOfLoading(), HasSubstr(files_.key + " is not the key of the certificate"));
  WriteFile(files_.key, first_.certificate);
  EXPECT_THAT(ErrorOfLoading(), HasSubstr(files_.key + " holds no private key"));
  Write(first_);
  WriteFile(files_.certificate, first_.key);
  EXPECT_THAT(ErrorOfLoading(), HasSubstr(files_.certificate + " holds no certificate"));
  WriteFile(files_.certificate, first_.certificate.substr(0, first_.certificate.size() / 2));
  EXPECT_THAT(ErrorOfLoading(), HasSubstr(files_.certificate + " holds a certificate that is cut"));
  Write(first_);
  WriteFile(files_.client_ca, "");
  EXPECT_THAT(ErrorOfLoading(), HasSubstr(files_.client_ca + " holds no certificate"));
  // A client's own certificate there locked out every client, that one too.
  WriteFile(files_.client_ca, first_.certificate);
  EXPECT_THAT(ErrorOfLoading(), HasSubstr(files_.client_ca + " holds no certificate of a root CA"));
  WriteFile(files_.client_ca, absl::StrCat(first_.certificate, authority_.certificate()));
  EXPECT_TRUE(LoadCertificates(files_).ok());
  files_.client_ca = folder_ + "/none.pem";
  EXPECT_THAT(ErrorOfLoading(), HasSubstr("none.pem cannot be read"));
}

TEST_F(CertificateStoreTest, ExpiredCertificateIsTaken) {
  Write(authority_.Issue("DNS:localhost", -absl::Minutes(1)));
  const auto loaded = LoadCertificates(files_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_LT(loaded->not_after, absl::Now());
}

// Its certificate fits its key, and OpenSSL refuses it all the same: a server that had found that
// out with its first client once went on in plain text.
TEST_F(CertificateStoreTest, PairThatOpensslDoesNotServeWithIsRefused) {
  Write(authority_.Issue("DNS:localhost", absl::Hours(1), TestKey::kShortRsa));
  EXPECT_THAT(ErrorOfLoading(), HasSubstr(files_.certificate + " is well-formed, but"));
  EXPECT_THAT(ErrorOfLoading(), HasSubstr("key too small"));
}

// A reload of two ports once changed the first before the second was found to be wrong.
TEST_F(CertificateStoreTest, ReadChangesNothingUntilItIsTaken) {
  auto store = CertificateStore::Open(files_, clock_, absl::Hours(1));
  ASSERT_TRUE(store.ok()) << store.status();
  Write(second_);
  auto reading = (*store)->Read();
  ASSERT_TRUE(reading.ok()) << reading.status();
  EXPECT_EQ((*store)->Current()->certificate, first_.certificate);
  (*store)->Take(*std::move(reading));
  EXPECT_EQ((*store)->Current()->certificate, second_.certificate);
}

TEST_F(CertificateStoreTest, OlderReadingDoesNotReplaceANewerState) {
  auto store = CertificateStore::Open(files_, clock_, absl::Hours(1));
  ASSERT_TRUE(store.ok()) << store.status();
  auto older = (*store)->Read();
  ASSERT_TRUE(older.ok()) << older.status();
  Write(second_);
  ASSERT_TRUE((*store)->Reload().ok());
  (*store)->Take(*std::move(older));
  EXPECT_EQ((*store)->Current()->certificate, second_.certificate);
}

TEST_F(CertificateStoreTest, ReloadTakesAWholePairAndNothingElse) {
  auto store = CertificateStore::Open(files_, clock_, absl::Hours(1));
  ASSERT_TRUE(store.ok()) << store.status();
  const auto before = (*store)->Current();
  WriteFile(files_.certificate, second_.certificate);
  EXPECT_THAT(std::string((*store)->Reload().message()), HasSubstr("is not the key"));
  EXPECT_EQ((*store)->Current(), before);
  WriteFile(files_.key, second_.key);
  EXPECT_TRUE((*store)->Reload().ok());
  EXPECT_EQ((*store)->Current()->certificate, second_.certificate);
  // Whoever still uses the old one may.
  EXPECT_EQ(before->certificate, first_.certificate);
}

// Certificates are renewed one file at a time, in place or by a link that is turned.
TEST_F(CertificateStoreTest, ChangedFilesAreFoundOnceTheyFit) {
  auto store = CertificateStore::Open(files_, clock_, absl::Milliseconds(1));
  ASSERT_TRUE(store.ok()) << store.status();
  WriteFile(files_.certificate, second_.certificate);
  WriteFile(folder_ + "/next.pem", second_.key);
  EXPECT_EQ((*store)->Current()->certificate, first_.certificate);
  std::filesystem::remove(files_.key);
  std::filesystem::create_symlink(folder_ + "/next.pem", files_.key);
  ASSERT_TRUE(Eventually("the new one is read",
                         [&] { return (*store)->Current()->certificate == second_.certificate; }));
  EXPECT_EQ((*store)->Current()->key, second_.key);
}

// A certificate that had become a pipe was waited for, and the end of the gateway for nine seconds.
TEST_F(CertificateStoreTest, APipeDoesNotHoldUpTheEnd) {
  auto store = CertificateStore::Open(files_, clock_, absl::Milliseconds(1));
  ASSERT_TRUE(store.ok()) << store.status();
  std::filesystem::remove(files_.certificate);
  ASSERT_EQ(mkfifo(files_.certificate.c_str(), 0600), 0);
  // The watcher reads it, or there would be nobody to write to.
  int writer = -1;
  ASSERT_TRUE(Eventually("it is read", [&] {
    writer = open(files_.certificate.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    return writer >= 0;
  }));
  const absl::Duration before = SystemClock().MonotonicNow();
  store->reset();
  EXPECT_LT(SystemClock().MonotonicNow() - before, absl::Seconds(5));
  close(writer);
}

}  // namespace
}  // namespace hookgate
