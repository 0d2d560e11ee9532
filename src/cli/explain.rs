//! `ringferry explain`: where a URL goes, by the routing code of the proxy itself.

use super::{Exit, ExplainArgs, complain, pending, say, source};

pub(super) fn explain(args: ExplainArgs) -> Exit {
    let config = match source::config(&args.config.file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match pending::explain(&config, &args.url, args.json) {
        Ok(text) => {
            say(&text);
            Exit::Ok
        }
        Err(why) => {
            complain(why);
            Exit::Usage
        }
    }
}
