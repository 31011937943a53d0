//! How a case says that a store broke the contract: as a value, so that the suite can be tested on broken stores.

use std::fmt;

use onechat_core::{AliasError, ResolveError, StoreError};

/// What a store did wrong, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

/// The result of one case.
pub type CaseResult = Result<(), Violation>;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! from_error {
    ($($error:ty),+) => {$(
        impl From<$error> for Violation {
            fn from(error: $error) -> Self {
                Self(format!("the store failed: {error}"))
            }
        }
    )+};
}

from_error!(AliasError, ResolveError, StoreError);

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Violation(format!($($message)+)));
        }
    };
}

pub(crate) use ensure;
