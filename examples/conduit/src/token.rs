//! Signs and reads the tokens of signed-in users: JWT (RFC 7519) with HS256 and nothing else, so there is no algorithm
//! to confuse. Pure but for the random key; the time is handed in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// How long a token is good for. Long, because the API has no way to renew one.
const LIFETIME: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// The only header this application writes, and the only one it reads.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The user's id, in digits: the RFC wants a string.
    sub: String,
    /// Unix seconds.
    exp: u64,
}

/// The signing key.
pub(crate) struct Tokens {
    key: Hmac<Sha256>,
    header: String,
}

impl Tokens {
    pub(crate) fn new(secret: &[u8]) -> Self {
        let key = Hmac::new_from_slice(secret).expect("HMAC takes a key of any length");
        Self { key, header: Base64UrlUnpadded::encode_string(HEADER.as_bytes()) }
    }

    /// With a key nobody else knows: its tokens end with the process.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self::new(&secret))
    }

    /// A token that proves to be `user_id` from `now` on.
    pub(crate) fn issue(&self, user_id: i64, now: SystemTime) -> String {
        let claims = Claims { sub: user_id.to_string(), exp: unix_seconds(now) + LIFETIME.as_secs() };
        let claims = serde_json::to_vec(&claims).expect("a string and a number are JSON");
        let signed = format!("{}.{}", self.header, Base64UrlUnpadded::encode_string(&claims));
        let signature = self.mac(&signed).finalize().into_bytes();
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
    }

    /// Whose token this is; `None` when it is not one of ours, was changed, or has expired.
    pub(crate) fn user_id(&self, token: &str, now: SystemTime) -> Option<i64> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = Base64UrlUnpadded::decode_vec(signature).ok()?;
        self.mac(signed).verify_slice(&signature).ok()?;
        let (header, claims) = signed.split_once('.')?;
        if header != self.header {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&Base64UrlUnpadded::decode_vec(claims).ok()?).ok()?;
        (unix_seconds(now) < claims.exp).then_some(claims.sub)?.parse().ok()
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        self.key.clone().chain_update(signed)
    }
}

/// A clock set before 1970 reads as 1970.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    #[test]
    fn a_token_names_the_user_it_was_issued_for() {
        let tokens = Tokens::new(b"secret");
        assert_eq!(tokens.user_id(&tokens.issue(42, now()), now()), Some(42));
    }

    #[test]
    fn the_bytes_are_those_of_any_other_hs256_implementation() {
        // Computed with `openssl dgst -sha256 -hmac secret` over the same header and claims.
        let claims = r#"{"sub":"42","exp":1705184000}"#;
        let token = Tokens::new(b"secret").issue(42, now());
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(Base64UrlUnpadded::decode_vec(parts[0]).unwrap(), HEADER.as_bytes());
        assert_eq!(Base64UrlUnpadded::decode_vec(parts[1]).unwrap(), claims.as_bytes());
        assert_eq!(parts[2], "hSOD34qsbSKjB17DF9FHZee4G2mcxH-xIayFFZrWqXc");
    }

    #[test]
    fn a_token_expires() {
        let tokens = Tokens::new(b"secret");
        let token = tokens.issue(42, now());
        assert_eq!(tokens.user_id(&token, now() + LIFETIME - Duration::from_secs(1)), Some(42));
        assert_eq!(tokens.user_id(&token, now() + LIFETIME), None);
    }

    #[test]
    fn another_key_or_any_changed_character_is_refused() {
        let token = Tokens::new(b"secret").issue(42, now());
        assert_eq!(Tokens::new(b"other").user_id(&token, now()), None);
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(Tokens::new(b"secret").user_id(&changed, now()), None, "{changed}");
        }
    }

    #[test]
    fn another_algorithm_is_refused_even_when_signed_with_our_key() {
        let tokens = Tokens::new(b"secret");
        let claims = tokens.issue(42, now()).split('.').nth(1).unwrap().to_owned();
        let header = Base64UrlUnpadded::encode_string(br#"{"alg":"none","typ":"JWT"}"#);
        let signed = format!("{header}.{claims}");
        let signature = Base64UrlUnpadded::encode_string(&tokens.mac(&signed).finalize().into_bytes());
        assert_eq!(tokens.user_id(&format!("{signed}.{signature}"), now()), None);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let tokens = Tokens::new(b"secret");
        for text in ["", ".", "..", "a.b.c", "a.b", "ä.ö.ü"] {
            assert_eq!(tokens.user_id(text, now()), None, "{text}");
        }
    }
}
