//! Prints which digit a picture (PGM, 8 bits) shows.

use std::ffi::{c_char, c_int, c_void, CStr};

#[repr(C)]
struct Picture {
    pixels: *const u8,
    width: u32,
    height: u32,
    channels: u32,
    row_bytes: u32,
}

#[repr(C)]
struct Error {
    status: c_int,
    text: [c_char; 256],
}

extern "C" {
    static lenet_program: c_void;
    fn lenet_session_create(program: *const c_void, options: *const c_void, session: *mut *mut c_void,
                            error: *mut Error) -> c_int;
    fn lenet_session_destroy(session: *mut c_void);
    fn lenet_session_prepare_image(session: *mut c_void, input: u32, picture: *const Picture,
                                   destination: *mut f32) -> c_int;
    fn lenet_session_set_input(session: *mut c_void, name: *const c_char, data: *const f32, bytes: u64) -> c_int;
    fn lenet_session_set_output(session: *mut c_void, name: *const c_char, data: *mut f32, bytes: u64) -> c_int;
    fn lenet_session_run(session: *mut c_void) -> c_int;
    fn lenet_session_error(session: *mut c_void) -> *const c_char;
}

struct Lenet(*mut c_void);

impl Lenet {
    fn new() -> Result<Self, String> {
        let mut session = std::ptr::null_mut();
        let mut error = Error { status: 0, text: [0; 256] };
        let status = unsafe { lenet_session_create(&lenet_program, std::ptr::null(), &mut session, &mut error) };
        if status == 0 {
            return Ok(Lenet(session));
        }
        Err(format!("{}: {}", error.status, unsafe { CStr::from_ptr(error.text.as_ptr()) }.to_string_lossy()))
    }

    fn check(&self, status: c_int) -> Result<(), String> {
        match status {
            0 => Ok(()),
            _ => Err(unsafe { CStr::from_ptr(lenet_session_error(self.0)) }.to_string_lossy().into_owned()),
        }
    }

    fn logits(&mut self, pixels: &[u8], width: u32, height: u32) -> Result<[f32; 10], String> {
        let picture = Picture { pixels: pixels.as_ptr(), width, height, channels: 1, row_bytes: 0 };
        let (mut image, mut logits) = ([0f32; 28 * 28], [0f32; 10]);
        unsafe {
            self.check(lenet_session_prepare_image(self.0, 0, &picture, image.as_mut_ptr()))?;
            self.check(lenet_session_set_input(self.0, b"image\0".as_ptr().cast(), image.as_ptr(), 28 * 28 * 4))?;
            self.check(lenet_session_set_output(self.0, b"logits\0".as_ptr().cast(), logits.as_mut_ptr(), 10 * 4))?;
            self.check(lenet_session_run(self.0))?;
        }
        Ok(logits)
    }
}

impl Drop for Lenet {
    fn drop(&mut self) {
        unsafe { lenet_session_destroy(self.0) }
    }
}

fn main() -> Result<(), String> {
    let path = std::env::args().nth(1).ok_or("give a picture as .pgm")?;
    let file = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    let head = String::from_utf8_lossy(&file[..file.len().min(40)]).into_owned();
    let mut words = head.split_ascii_whitespace();
    let (kind, width, height) = (words.next(), words.next(), words.next());
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<u32>().ok()).ok_or("give a picture as .pgm");
    let (width, height) = (number(width)?, number(height)?);
    let size = width as usize * height as usize;
    if kind != Some("P5") || file.len() < size {
        return Err("give a picture as .pgm".into());
    }
    let logits = Lenet::new()?.logits(&file[file.len() - size..], width, height)?;
    let best = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
    println!("{best}");
    Ok(())
}
