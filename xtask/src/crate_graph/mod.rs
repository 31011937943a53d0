//! Which crate may name which. The direction of dependencies is what keeps the domain free of I/O and the drivers
//! in their stores; nobody notices a wrong one in review, so a program does.

mod check;
mod table;
#[cfg(test)]
mod tests;
mod workspace;

pub(crate) use check::violations;
pub(crate) use workspace::Workspace;
