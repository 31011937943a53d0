//! What happens to every request, around whatever answers it.

mod frame;
mod request_id;

pub(crate) use frame::{Frame, FrameContext};
