//! Hashes and checks passwords with Argon2id, on threads that may block.

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::task::spawn_blocking;

/// What hashing one password costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordCost {
    /// The parameters the `argon2` crate recommends: 19 MiB, two passes.
    #[default]
    Recommended,
    /// The least Argon2 allows; protects nothing. For tests.
    Least,
}

impl PasswordCost {
    fn argon2(self) -> Argon2<'static> {
        let params = match self {
            Self::Recommended => Params::default(),
            Self::Least => Params::new(Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST, None)
                .expect("the least parameters are valid"),
        };
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }
}

/// A password could not be hashed or a stored hash not be read.
#[derive(Debug)]
pub(crate) struct PasswordError(String);

impl std::fmt::Display for PasswordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PasswordError {}

/// Hashing at one cost.
pub(crate) struct Passwords {
    cost: PasswordCost,
    /// Checked when nobody has the address, so that the time of an answer does not tell whether somebody does.
    nobody: String,
}

impl Passwords {
    pub(crate) async fn new(cost: PasswordCost) -> Result<Self, PasswordError> {
        let nobody = hash(cost, "nobody has this password".to_owned()).await?;
        Ok(Self { cost, nobody })
    }

    /// A new salted hash, as a PHC string.
    pub(crate) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        hash(self.cost, password).await
    }

    /// Whether the password belongs to the hash. Without a hash it takes as long and is wrong.
    pub(crate) async fn verify(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.clone());
        let matches = spawn_blocking(move || {
            let stored = PasswordHash::new(&stored).map_err(|error| PasswordError(error.to_string()))?;
            match Argon2::default().verify_password(password.as_bytes(), &stored) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(PasswordError(error.to_string())),
            }
        })
        .await
        .map_err(|error| PasswordError(error.to_string()))??;
        Ok(known && matches)
    }
}

async fn hash(cost: PasswordCost, password: String) -> Result<String, PasswordError> {
    spawn_blocking(move || cost.argon2().hash_password(password.as_bytes()).map(|hash| hash.to_string()))
        .await
        .map_err(|error| PasswordError(error.to_string()))?
        .map_err(|error| PasswordError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new(PasswordCost::Least).await.unwrap();
        let stored = passwords.hash("correct horse".into()).await.unwrap();
        assert!(passwords.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("battery staple".into(), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn the_password_behind_the_dummy_hash_opens_nothing() {
        let passwords = Passwords::new(PasswordCost::Least).await.unwrap();
        assert!(!passwords.verify("nobody has this password".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn the_recommended_cost_is_argon2id_with_a_fresh_salt() {
        let passwords = Passwords::new(PasswordCost::Recommended).await.unwrap();
        let (one, two) =
            (passwords.hash("same".into()).await.unwrap(), passwords.hash("same".into()).await.unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
    }
}
