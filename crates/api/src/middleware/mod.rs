//! What happens to every request, around whatever answers it.

mod frame;
mod place;
mod request_id;

pub(crate) use frame::{Frame, FrameContext};
pub(crate) use place::take_place;
