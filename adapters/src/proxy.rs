//! stub
use std::{io, net::SocketAddr};
/// stub
pub async fn read_header<S>(_: &mut S) -> io::Result<Option<SocketAddr>> {
    Ok(None)
}
