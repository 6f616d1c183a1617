// LENET is the folder that `halcyon emit --for=shared` wrote.
fn main() {
    let folder = std::env::var("LENET").expect("LENET is the folder of the library");
    println!("cargo:rustc-link-search=native={folder}/lib");
    println!("cargo:rustc-link-lib=dylib=lenet");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}/lib");
    println!("cargo:rerun-if-env-changed=LENET");
}
