'use strict';
/* Linear light. Its tiles are scripts, as a page on the disk may read no other data: each calls
   `light` with a compressed tile, see compare/_light_tiles.py. */
const Light = (() => {
  const DROPPED = 2; // bits of a half float that the tiles do not have
  const VALUES = Float64Array.from({length: 1 << (15 - DROPPED)}, (_, index) => {
    const half = index << DROPPED, exponent = half >> 10, fraction = (half & 1023) / 1024;
    return exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
  });
  const painted = new WeakMap(); // canvas → its values, and the exposure that it is painted at
  let exposure = 0, codes = table(0);

  function table(stops) {
    const gain = 2 ** stops;
    return Uint8ClampedArray.from(VALUES, value => {
      const light = Math.min(value * gain, 1);
      return 255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);
    });
  }

  async function unpack(text) {
    const packed = Uint8Array.from(atob(text), character => character.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const [height, width] = [bytes[0] | bytes[1] << 8, bytes[2] | bytes[3] << 8];
    const count = height * width, high = bytes.subarray(4), low = bytes.subarray(4 + 3 * count);
    const planes = [0, 1, 2].map(() => new Int32Array(count));
    planes.forEach((plane, index) => {
      for (let at = 0, from = index * count; at < count; at++) {
        const folded = high[from + at] << 8 | low[from + at];
        const step = folded & 1 ? -(folded + 1 >> 1) : folded >> 1;
        plane[at] = step + (at % width ? plane[at - 1] : 0);
      }
    });
    const [green, red, blue] = planes, values = new Uint16Array(3 * count);
    for (let at = 0; at < count; at++) {
      values[3 * at] = red[at] + green[at];
      values[3 * at + 1] = green[at];
      values[3 * at + 2] = blue[at] + green[at];
    }
    return {width, height, values};
  }

  function paint(context, tile) {
    const pixels = context.createImageData(tile.width, tile.height), data = pixels.data;
    for (let to = 0, from = 0; to < data.length; to += 4, from += 3) {
      data[to] = codes[tile.values[from]];
      data[to + 1] = codes[tile.values[from + 1]];
      data[to + 2] = codes[tile.values[from + 2]];
      data[to + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    tile.exposure = exposure;
  }

  /* Load a tile; `done` gets a canvas' context, or nothing. Returns what gives the tile up. */
  function load(url, done) {
    const script = document.createElement('script');
    let wanted = true;
    const finish = context => { script.remove(); if (wanted) done(context); };
    script.receive = async text => {
      try {
        const tile = await unpack(text), canvas = document.createElement('canvas');
        Object.assign(canvas, {width: tile.width, height: tile.height});
        const context = canvas.getContext('2d');
        painted.set(canvas, tile);
        paint(context, tile);
        finish(context);
      } catch { finish(null); }
    };
    script.onerror = () => finish(null);
    script.src = url;
    document.head.append(script);
    return () => { wanted = false; script.remove(); };
  }

  return {
    load,
    expose(stops) { exposure = stops; codes = table(stops); },
    /* Paint a tile's canvas again if it is not at this exposure. */
    refresh(context) {
      const tile = painted.get(context.canvas);
      if (tile && tile.exposure !== exposure) paint(context, tile);
    },
  };
})();

function light(text) { document.currentScript.receive(text); }
