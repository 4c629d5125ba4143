#include "server/signature/ed25519.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/numbers.h"

namespace hookgate {
namespace {

// Made with Python's cryptography: the keys whose private halves are 32 zeros, and the bytes 0
// to 31.
constexpr char kKey[] = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
constexpr char kSignatureOfNothing[] =
    "8f895b3cafe2c9506039d0e2a66382568004674fe8d237785092e40d6aaf483e"
    "4fc60168705f31f101596138ce21aa357c0d32a064f423dc3ee4aa3abf53f803";
constexpr char kOtherKey[] = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
constexpr char kOtherSignatureOfHookgate[] =
    "dba38263f426ff1fe5f6c9ef8ac29dfa157fe47242d6903b509eb1c1351f6cc9"
    "282170aa6449526f19cb84f63d67b95c33efb05dff1934778a9e32260c603108";

// Abseil's own changes its form between the versions that Debian has.
std::string Hex(absl::string_view digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    int byte = 0;
    EXPECT_TRUE(absl::SimpleHexAtoi(digits.substr(i, 2), &byte));
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

Ed25519PublicKey Key(absl::string_view digits) {
  return Ed25519PublicKey::FromBytes(Hex(digits)).value();
}

TEST(Ed25519PublicKeyTest, VerifiesWhatItsOwnerSigned) {
  EXPECT_TRUE(Key(kKey).Verifies(Hex(kSignatureOfNothing), ""));
  EXPECT_TRUE(Key(kOtherKey).Verifies(Hex(kOtherSignatureOfHookgate), "hookgate"));
}

TEST(Ed25519PublicKeyTest, RefusesAnyOtherMessageKeyOrSignature) {
  const std::string signature = Hex(kOtherSignatureOfHookgate);
  EXPECT_FALSE(Key(kOtherKey).Verifies(signature, "hookgatf"));
  EXPECT_FALSE(Key(kOtherKey).Verifies(signature, "hookgate "));
  EXPECT_FALSE(Key(kKey).Verifies(signature, "hookgate"));
  for (size_t i = 0; i < signature.size(); ++i) {
    std::string changed = signature;
    changed[i] ^= 1;
    EXPECT_FALSE(Key(kOtherKey).Verifies(changed, "hookgate")) << "byte " << i;
  }
}

TEST(Ed25519PublicKeyTest, SignatureOfAnotherLengthIsNone) {
  const std::string signature = Hex(kSignatureOfNothing);
  EXPECT_FALSE(Key(kKey).Verifies("", ""));
  EXPECT_FALSE(Key(kKey).Verifies(signature.substr(1), ""));
  EXPECT_FALSE(Key(kKey).Verifies(signature.substr(0, 63), ""));
  EXPECT_FALSE(Key(kKey).Verifies(signature + std::string(1, '\0'), ""));
}

TEST(Ed25519PublicKeyTest, CopiesOutliveTheOriginal) {
  auto original = std::make_unique<Ed25519PublicKey>(Key(kKey));
  const Ed25519PublicKey copy = *original;
  original.reset();
  EXPECT_TRUE(copy.Verifies(Hex(kSignatureOfNothing), ""));
}

TEST(Ed25519PublicKeyTest, BytesAreThoseItWasMadeOf) {
  const std::string bytes = Hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  EXPECT_EQ(Ed25519PublicKey::FromBytes(bytes)->bytes(), bytes);
}

TEST(Ed25519PublicKeyTest, KeyOfAnotherLengthIsRefused) {
  for (size_t size : {0, 1, 31, 33, 64}) {
    EXPECT_EQ(Ed25519PublicKey::FromBytes(std::string(size, 'k')).status().code(),
              absl::StatusCode::kInvalidArgument)
        << size;
  }
}

// Under the key 1, (base point, 1) is a signature of any message at all; under the key 0, which a
// forgotten placeholder may be, of one message in four.
TEST(Ed25519PublicKeyTest, KeyUnderWhichAnybodyCanSignIsRefused) {
  for (const char* digits : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0000000000000000000000000000000000000000000000000000000000000080",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000080",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
       }) {
    EXPECT_EQ(Ed25519PublicKey::FromBytes(Hex(digits)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << digits;
  }
}

// No point of the curve: a key that nobody has the private half of.
TEST(Ed25519PublicKeyTest, KeyThatIsNoPointVerifiesNothing) {
  const Ed25519PublicKey key =
      Key("0200000000000000000000000000000000000000000000000000000000000000");
  EXPECT_FALSE(key.Verifies(Hex(kSignatureOfNothing), ""));
  EXPECT_FALSE(key.Verifies(std::string(64, '\0'), ""));
}

}  // namespace
}  // namespace hookgate
