//! Why old data could not be made or looked at.

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// The database.
    #[error("the database failed: {0}")]
    Database(#[from] mongodb::error::Error),
    /// The file with what is expected.
    #[error("the file with the expected result cannot be used: {0}")]
    File(#[from] std::io::Error),
    /// A line of it.
    #[error("the expected result is not what was written: {0}")]
    Record(#[from] serde_json::Error),
    /// A document that BSON cannot hold.
    #[error("a document cannot be made: {0}")]
    Document(#[from] mongodb::bson::error::Error),
    /// A shape that contradicts itself.
    #[error("{0}")]
    Shape(String),
}
