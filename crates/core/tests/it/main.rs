//! The domain through its public interface: laws, limits, and agreement with JavaScript.
//!
//! One test program rather than one a file: it links once, and shares the adversarial participants.

mod adversarial;
mod cursor;
mod javascript;
mod key;
mod key_bulk;
mod key_decode;
mod limits;
mod object_id;
mod order;
mod settle;
mod time;
mod vectors;
