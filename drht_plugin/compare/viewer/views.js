'use strict';
/* Two views of pictures, which zoom and move in step. */
const Views = (() => {
  // On screens with more colours than sRGB, canvases have them too.
  if (matchMedia('(color-gamut: p3)').matches) {
    const plain = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, options) {
      return plain.call(this, kind, kind === '2d' ? {colorSpace: 'display-p3', ...options} : options);
    };
  }
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

  function source(place, picture) {
    const made = new OpenSeadragon.TileSource({
      width: picture.width, height: picture.height, tileSize: picture.tile,
      tileOverlap: picture.overlap, minLevel: picture.lowest, maxLevel: picture.top,
    });
    made.getTileUrl = (level, x, y) => `${place}${picture.tiles}/${level}/${x}_${y}.${picture.kind}`;
    made.hasTransparency = () => picture.kind === 'webp';
    if (picture.kind === 'js') {
      made.downloadTileStart = job => {
        job.userData.giveUp = Light.load(job.src, context => {
          if (context) job.finish(context, null, 'context2d');
          else job.fail('the tile cannot be read', null);
        });
      };
      made.downloadTileAbort = job => job.userData.giveUp?.();
    }
    return made;
  }

  function open(element) {
    const viewer = OpenSeadragon({
      element, drawer: 'canvas', showNavigationControl: false, keyboardNavEnabled: false,
      tabIndex: '', crossOriginPolicy: false, preserveViewport: true, minZoomImageRatio: 0.5,
      maxZoomPixelRatio: 16,
      visibilityRatio: 0.25, animationTime: still ? 0 : 0.35, imageLoaderLimit: 32, maxTilesPerFrame: 200,
      maxImageCacheCount: 300, smoothTileEdgesMinZoom: Infinity,
      gestureSettingsMouse: {clickToZoom: false, dblClickToZoom: true},
    });
    viewer.addHandler('tile-drawing', event => Light.refresh(event.rendered));
    return viewer;
  }

  /* Views in two elements. `changed` is called when the zoom changes, `busy` with whether tiles are
     still awaited. */
  function pair(elements, changed, busy) {
    const viewers = elements.map(open), shown = [null, null];
    let leader = viewers[0], fitted = true, width = 1, whole = null;

    for (const viewer of viewers) {
      for (const event of ['canvas-enter', 'canvas-press', 'canvas-scroll', 'canvas-pinch'])
        viewer.addHandler(event, () => { leader = viewer; });
      for (const event of ['canvas-drag', 'canvas-scroll', 'canvas-pinch', 'canvas-double-click'])
        viewer.addHandler(event, () => { fitted = false; });
      viewer.addHandler('viewport-change', () => { if (leader === viewer) follow(); });
      viewer.addHandler('animation-finish', () => { if (leader === viewer) align(); });
      // Both have their new size in the next frame.
      viewer.addHandler('after-resize', () => requestAnimationFrame(settle));
    }

    function follow() {
      if (!leader.isOpen()) return;
      const other = viewers.find(viewer => viewer !== leader), {viewport} = leader;
      other.viewport.zoomTo(viewport.getZoom(true), null, true);
      other.viewport.panTo(viewport.getCenter(true), true);
      const smoothing = zoom() < 2; // of larger ones, pixels are seen as they are
      for (const viewer of viewers) viewer.drawer.setImageSmoothingEnabled(smoothing);
      changed(zoom());
    }
    function settle() {
      if (fitted && leader.isOpen()) leader.viewport.fitBounds(whole, true);
      follow();
    }
    /* Pixels of the screen for one of the picture. */
    function zoom() {
      const {viewport} = leader;
      return viewport.getZoom(true) * viewport.getContainerSize().x * ratio() / width;
    }
    function ratio() { return window.devicePixelRatio || 1; }
    /* At 1:1, put pixels of the picture onto pixels of the screen. */
    function align() {
      if (!leader.isOpen() || Math.abs(zoom() - 1) > 1e-4) return;
      const {viewport} = leader, corner = viewport.pixelFromPoint(new OpenSeadragon.Point(0, 0), true);
      const off = ['x', 'y'].map(axis => Math.round(corner[axis] * ratio()) / ratio() - corner[axis]);
      if (Math.max(...off.map(Math.abs)) < 1e-3) return;
      viewport.panBy(viewport.deltaPointsFromPixels(new OpenSeadragon.Point(-off[0], -off[1]), true), true);
    }
    function ready() {
      busy(viewers.some(viewer => !viewer.isOpen() || !viewer.world.getItemAt(0).getFullyLoaded()));
    }

    return {
      zoom,
      /* Show pictures on both sides; `anew`: they are others, and are seen as a whole. */
      show(place, pictures, anew) {
        busy(true);
        if (anew) {
          fitted = true;
          width = pictures[0].width;
          whole = new OpenSeadragon.Rect(0, 0, 1, pictures[0].height / width);
        }
        viewers.forEach((viewer, index) => {
          const picture = pictures[index];
          if (!anew && shown[index] === picture) return;
          shown[index] = picture;
          viewer.element.parentElement.classList.toggle('clear', picture.kind === 'webp');
          if (anew) viewer.world.removeAll();
          viewer.addTiledImage({
            tileSource: source(place, picture), x: 0, y: 0, width: 1, index: 0, replace: !anew,
            success({item}) {
              item.addHandler('fully-loaded-change', ready);
              settle();
            },
          });
        });
        ready();
      },
      redraw() { for (const viewer of viewers) viewer.forceRedraw(); },
      fit() { fitted = true; leader.viewport.fitBounds(whole); },
      one() {
        fitted = false;
        const {viewport} = leader;
        viewport.zoomTo(width / (viewport.getContainerSize().x * ratio()), null, true);
        viewport.applyConstraints(true);
        align();
      },
      enlarge(factor) { fitted = false; leader.viewport.zoomBy(factor).applyConstraints(); },
      move(across, down) {
        fitted = false;
        const size = leader.viewport.getContainerSize();
        const by = new OpenSeadragon.Point(across * size.x, down * size.y);
        leader.viewport.panBy(leader.viewport.deltaPointsFromPixels(by)).applyConstraints();
      },
    };
  }

  return {pair};
})();
