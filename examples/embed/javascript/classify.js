// Prints which digit a picture (PGM, 8 bits) shows: node classify.js ./addon.node nine.pgm

const fs = require('fs');
const path = require('path');
const lenet = require(path.resolve(process.argv[2]));

const file = fs.readFileSync(process.argv[3]);
const [head, width, height] = /^P5\s+(\d+)\s+(\d+)\s+255\s/.exec(file.toString('latin1'));
const logits = lenet.classify(new Uint8Array(file.subarray(head.length)), Number(width), Number(height));
console.log(logits.indexOf(Math.max(...logits)));
