//! A write that changes nothing. In a transaction it makes others who have read the documents and want to change them fail, and
//! everybody else who writes to them wait.

use mongodb::bson::{Document, doc};

/// A field that no document is ever seen with: it comes and goes within one transaction.
const MARK: &str = "__onechat_mark";

/// The command that writes to the documents that match and leaves every byte of them as it was. Its reply counts each of them
/// twice.
pub(crate) fn command(collection: &str, these: &Document) -> Document {
    // The server leaves out an update that would change nothing: one that does, and one that takes it back, stay.
    let update = |change: Document| doc! { "q": these.clone(), "u": change, "multi": true };
    let updates = [update(doc! { "$set": { MARK: true } }), update(doc! { "$unset": { MARK: "" } })];
    doc! { "update": collection, "updates": updates.to_vec() }
}
