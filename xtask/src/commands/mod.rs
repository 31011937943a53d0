//! The commands of `cargo xtask`.

pub(crate) mod crash;
pub(crate) mod failover;
pub(crate) mod generate;
pub(crate) mod legacy;
pub(crate) mod live;
pub(crate) mod mongo;
pub(crate) mod peers;
pub(crate) mod test;
