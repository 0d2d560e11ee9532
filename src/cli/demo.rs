//! `ringferry demo`: three little sites and the proxy in front of them.

use super::{DemoArgs, Exit, complain};

pub(super) fn demo(args: DemoArgs) -> Exit {
    complain(format_args!("demo on port {} with {:?} follows", args.port, args.admin));
    Exit::Usage
}
