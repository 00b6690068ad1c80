//! What the client library knows of its own properties, asked without a client or a broker.
//!
//! Owns a configuration object for the length of one question. Called by `settings` alone.

use super::{ClientError, Code, c_text, sys, text_of};
use std::ffi::c_char;
use std::slice;

/// Whether the library has this property and takes this value. An unknown property is `Code::UnknownProtocol`.
pub(in crate::kafka) fn set_property(name: &str, value: &str) -> Result<(), ClientError> {
    let mut text = [0 as c_char; 512];
    let (name, value) = (c_text(name), c_text(value));
    // SAFETY: the configuration is ours from the first line to the destroy; the strings live during the call; `text` is
    // as long as said and is terminated by the callee before it is read.
    let (answer, text) = unsafe {
        let conf = sys::rd_kafka_conf_new();
        let answer =
            sys::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), text.as_mut_ptr(), text.len());
        sys::rd_kafka_conf_destroy(conf);
        (answer, text_of(text.as_ptr()))
    };
    match answer {
        sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
        sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => Err(ClientError::new(Code::UnknownProtocol, text)),
        _ => Err(ClientError::new(Code::InvalidArgument, text)),
    }
}

/// The names of all properties, sorted.
pub(in crate::kafka) fn property_names() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: both configurations are ours from their making to their destroy; each dump is an array of as many strings
    // as it says, name and value in turns, that lives until it is freed with the same count.
    unsafe {
        let conf = sys::rd_kafka_conf_new();
        let topic = sys::rd_kafka_topic_conf_new();
        let (mut count, mut topic_count) = (0, 0);
        let dumps = [
            (sys::rd_kafka_conf_dump(conf, &mut count), count),
            (sys::rd_kafka_topic_conf_dump(topic, &mut topic_count), topic_count),
        ];
        for (dump, count) in dumps {
            let texts = slice::from_raw_parts(dump, count);
            names.extend(texts.iter().step_by(2).map(|&name| text_of(name)));
            sys::rd_kafka_conf_dump_free(dump, count);
        }
        sys::rd_kafka_topic_conf_destroy(topic);
        sys::rd_kafka_conf_destroy(conf);
    }
    names.retain(|name| !name.ends_with("_cb") && name != "opaque");
    names.sort();
    names
}
